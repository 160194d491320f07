"""What one would write without this project: diffusers, its defaults, export_to_video.

It prints each step, so that the first can be timed.
"""

import json
import sys

import diffusers
import torch
from diffusers.utils import export_to_video


def told(pipeline, step, timestep, values):
    print(f'"step":{step + 1},', flush=True)
    return values


request = json.loads(sys.argv[1])
pipeline = diffusers.DiffusionPipeline.from_pretrained(sys.argv[2], torch_dtype=torch.float32)
scheduler = getattr(diffusers, request["scheduler"])
pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
frames = pipeline(
    prompt=request["prompt"],
    num_frames=request["numFrames"],
    width=request["width"],
    height=request["height"],
    num_inference_steps=request["numInferenceSteps"],
    guidance_scale=request["guidanceScale"],
    generator=torch.Generator("cpu").manual_seed(request["seed"]),
    callback_on_step_end=told,
).frames[0]
export_to_video(frames, sys.argv[3], fps=request["fps"])
