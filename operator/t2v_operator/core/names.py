"""Names of what the operator makes: deterministic, valid, and the same after a restart."""

import hashlib
import re
from collections.abc import Sequence

from t2v_api.resource import GROUP, TextToVideoJob

JOB_LABEL = f"{GROUP}/job"
REQUEST_LABEL = f"{GROUP}/request"
MODEL_LABEL = f"{GROUP}/model"
POOL_LABEL = f"{GROUP}/pool"
PREFETCH_LABEL = f"{GROUP}/model-prefetch"
"""On a Job that fetches a VideoModel: the model's name."""
RESOURCE_ANNOTATION = f"{GROUP}/resource"
"""The resource's whole name, which as a label could be too long."""
OUTPUT_URL_ANNOTATION = f"{GROUP}/output-url"
"""On a Job: what serves the folder that the video's files will stand in."""
ESTIMATE_ANNOTATION = f"{GROUP}/estimate"
"""On a Job: what it is expected to take, as JSON."""
NOTICES_ANNOTATION = f"{GROUP}/notices"
"""On a Job: what the user should know about how the request was understood."""
APPLIED_ANNOTATION = f"{GROUP}/applied"
"""On a Job: the values of the resource that it was last brought into line with."""
RECORD_ANNOTATION = f"{GROUP}/record"
"""On a resource: what came of its request, for when the status is lost."""

RESULT_ANNOTATION = f"{GROUP}/result"
"""On a Job: the record that its runner handed in, for when its pod can tell it no more."""

OUTPUT_FINALIZER = f"{GROUP}/output"
"""On a resource whose files go with it: they are removed before it."""
IN_USE_FINALIZER = f"{GROUP}/in-use"
"""On a VideoModel: a Job draws with it."""
RENEW_LINKS_ANNOTATION = f"{GROUP}/renew-links"
"""On a resource: another value than before asks for new links."""
KEEP_ANNOTATION = f"{GROUP}/keep"
"""On a resource: it is not deleted after outputTtlSeconds, its files are."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
WORKLOAD_JOB_LABEL = "kueue.x-k8s.io/job-uid"
"""On a Workload of Kueue: the uid of the Job that it stands for."""

FOLDER = re.compile(r"[0-9a-f]{64}")
"""What a video's folder is called: the digest of all that makes it."""

LABEL_CHARACTERS = 63
HASH_CHARACTERS = 10


def job_name(resource: TextToVideoJob) -> str:
    """The name of the Job that makes the resource's video."""
    spec = resource.spec
    return job_name_of(resource.metadata.name, try_of(spec.request_hash, spec.retry_token))


def try_of(request_hash: str, retry_token: str | None) -> str:
    """Tells the tries of one request apart: each has a Job of another name."""
    if retry_token is None:
        return request_hash
    return hashlib.sha256(f"{request_hash}/{retry_token}".encode()).hexdigest()


def job_name_of(name: str, request: str) -> str:
    """The resource's `name` and the hash of its `request`, at most 63 characters together.

    The Job controller copies it into a pod label, hence the limit. A cut name could belong to two
    resources, so the hash then covers the whole name too.
    """
    room = LABEL_CHARACTERS - HASH_CHARACTERS - 1
    if len(name) <= room:
        return f"{name}-{request[:HASH_CHARACTERS]}"
    both = hashlib.sha256(f"{name}/{request}".encode()).hexdigest()
    return f"{name[:room].rstrip('.-')}-{both[:HASH_CHARACTERS]}"


def folder_in(output: Sequence[str]) -> str:
    """The folder of a video's files, from what opens or names them: the last but one part."""
    parts = output[0].partition("?")[0].rsplit("/", 2) if output else []
    return parts[1] if len(parts) == 3 and FOLDER.fullmatch(parts[1]) else ""


def label_value(text: str) -> str:
    """`text` as a label value: itself where it fits, else cut, with a hash of the whole."""
    if len(text) <= LABEL_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARACTERS]
    return f"{text[: LABEL_CHARACTERS - HASH_CHARACTERS - 1].rstrip('.-')}-{digest}"


def stable_id(uid: str) -> int:
    """An integer below 2^53 for the resource: exact in JavaScript too."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % 2**53
