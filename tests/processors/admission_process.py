"""An admission worker as a process of its own, for tests that kill it."""

import logging
import sys

from processors.admission.process import run_admission
from processors.admission.settings import AdmissionSettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    kafka, redis_url, prefix, member, batch = sys.argv[1:]
    run_admission(
        AdmissionSettings(
            kafka=kafka,
            redis=redis_url,
            topic_prefix=prefix,
            key_prefix=prefix,
            group=f"{prefix}admission",
            instance_id=member,
            broker_time="auto",
            tick_idle_seconds=1.0,
            batch=int(batch),
        ),
        "127.0.0.1",
        0,
        60,
    )
