"""Watch a batch by HTTP until it has ended. A revoked batch ends as REVOKED: add it to the list for those.

python examples/batch_monitor.py BATCH_ID http://127.0.0.1:8000 5
"""

import sys
import time

import requests

batch_id, server, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])

while True:
    response = requests.get(f"{server}/pipeline/batch/{batch_id}")
    data = response.json()["data"]

    print(f"진행률: {data['progress_percentage']:.1f}%")
    print(f"완료: {data['completed_images']}/{data['total_images']}")
    print(f"실패: {data['failed_images']}")

    if data["status"] in ["SUCCESS", "FAILURE"]:
        break

    time.sleep(pause)
