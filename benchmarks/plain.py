"""What one would write without this project: diffusers, its defaults, export_to_video."""

import json
import sys

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from diffusers.utils import export_to_video

request = json.loads(sys.argv[1])
pipeline = DiffusionPipeline.from_pretrained(sys.argv[2], torch_dtype=torch.float32)
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
frames = pipeline(
    prompt=request["prompt"],
    num_frames=request["numFrames"],
    width=request["width"],
    height=request["height"],
    num_inference_steps=request["numInferenceSteps"],
    guidance_scale=request["guidanceScale"],
    generator=torch.Generator("cpu").manual_seed(request["seed"]),
).frames[0]
export_to_video(frames, sys.argv[3], fps=request["fps"])
