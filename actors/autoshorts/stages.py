"""The stages as Dramatiq actors: plot → designer, composer and voice side by side → rendering → QA.

Between stages travels a small dict; texts, pictures, sound and video lie in the chain's folder and their
URLs travel. What needs the extra ``autoshorts`` is imported when a stage runs. Log lines and shares of
progress are those that front ends know: percents here are of a stage, ``SPANS`` makes shares of the run.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.progress import current_stage, progress
from actors.storage import Folder, local_copy, read_json
from actors.workflow import stage
from callboard.errors import BadInput

from .quality import QualityError, as_report, check_content, check_streams

if TYPE_CHECKING:
    from .plot import Scene
    from .rendering import Material, Slot
    from .spec import Spec

QUEUE = "autoshorts"
_HOUR = 3_600_000
_OPTIONS = {"queue_name": QUEUE, "throws": BadInput, "time_limit": _HOUR}
#: Where each stage takes the run's progress: plot, assets, rendering, QA.
SPANS = ((0.10, 0.20), (0.25, 0.65), (0.75, 0.80), (0.85, 0.95))
#: How much designer, composer and voice count: 0.25-0.40, 0.40-0.50 and 0.50-0.65 of the run.
WEIGHTS = (15, 10, 15)
LOG_LINES = (
    "플롯 생성 시작: 프롬프트 분석 중...",
    "에셋 생성 시작 (디자이너, 작곡가, 성우)",
    "렌더링 단계 시작",
    "QA: 품질 검수 시작...",
    "영상 생성 완료! 🎉",
)


@stage(name="PLOT_GENERATION", actor_name="autoshorts.plot", **_OPTIONS)
def plot_stage(data: dict[str, Any]) -> dict[str, Any]:
    """Write the plot: a CSV of scenes, and from it the layout that all else is made from.

    Args:
        data: ``prompt`` and ``spec``, or ``file_path``, see :data:`actors.autoshorts.spec.ACCEPTS`.

    Returns:
        The input with ``engine`` (``llm`` or ``templates``), ``csv_url`` and ``layout_url`` (JSON).

    Raises:
        BadInput: the input cannot be used.
        StageError: the language model refuses, or its answers do not fit.
    """
    from .plot import as_csv, from_csv, layout  # noqa: PLC0415
    from .spec import Spec  # noqa: PLC0415

    spec = Spec.from_input(data)
    folder = current_stage().folder
    scenes, engine = _written(spec)
    csv_url = folder.write_bytes("scenes.csv", as_csv(scenes))
    progress(50, log="시나리오 CSV 생성 완료", engine=engine, scenes=len(scenes))
    progress(70, log="JSON 레이아웃 변환 중...")
    with folder.open("scenes.csv") as file:
        planned = layout(spec, from_csv(file.read()), engine)
    layout_url = folder.write_json("layout.json", planned)
    progress(99, log="JSON 레이아웃 생성 완료")
    return {**data, "engine": engine, "csv_url": csv_url, "layout_url": layout_url}


def _written(spec: Spec) -> tuple[list[Scene], str]:
    from actors.llm import LlmClient  # noqa: PLC0415
    from callboard.settings import Settings  # noqa: PLC0415

    from .plot import LLM, TEMPLATES, by_model, by_templates  # noqa: PLC0415

    settings = Settings.from_environment()
    if spec.engine == "templates" or not settings.llm_base_url or not settings.llm_model:
        progress(20, log="시나리오 생성 중 (내장 템플릿)...")
        return by_templates(spec), TEMPLATES
    progress(20, log=f"시나리오 생성 중 ({settings.llm_model})...")
    client = LlmClient(settings.llm_base_url, settings.llm_model, settings.llm_api_key, settings.llm_timeout)
    return by_model(spec, client), LLM


# With one thread they run in this order, which is that of their shares of progress.
@stage(name="designer", actor_name="autoshorts.designer", priority=0, **_OPTIONS)
def designer(document: dict[str, Any]) -> dict[str, Any]:
    """Draw each scene, and its words on a sheet of their own.

    Returns:
        The document with ``image_urls`` and ``words_urls`` (PNG, one a scene).
    """
    from .pictures import draw_scene, draw_words  # noqa: PLC0415

    layout, folder = read_json(document["layout_url"]), current_stage().folder
    width, height, scenes = layout["width"], layout["height"], layout["scenes"]
    progress(33, substep=f"0/{len(scenes)}", log="디자이너: 이미지 생성 중...")
    images, words = [], []
    for number, scene in enumerate(scenes, start=1):
        images.append(folder.write_bytes(f"scene-{number:02d}.png", draw_scene(scene, width, height)))
        words.append(folder.write_bytes(f"words-{number:02d}.png", draw_words(scene, width, height)))
        progress(33 + 66 * number / len(scenes), substep=f"{number}/{len(scenes)}")
    return {**document, "image_urls": images, "words_urls": words}


@stage(name="composer", actor_name="autoshorts.composer", priority=1, **_OPTIONS)
def composer(document: dict[str, Any]) -> dict[str, Any]:
    """Make the background music.

    Returns:
        ``music_url`` (WAV).
    """
    from .music import compose  # noqa: PLC0415

    progress(1, log="작곡가: 배경음악 생성 중...")
    music = compose(read_json(document["layout_url"]), _report)
    return {"music_url": current_stage().folder.write_bytes("music.wav", music)}


@stage(name="voice", actor_name="autoshorts.voice", priority=2, **_OPTIONS)
def voice(document: dict[str, Any]) -> dict[str, Any]:
    """Speak each scene's narration.

    Returns:
        ``voice_urls`` (WAV, one a scene).

    Raises:
        StageError: a narration cannot be spoken.
    """
    from actors.scratch import scratch_folder  # noqa: PLC0415

    from .rendering import LEAD_IN, LEAD_OUT  # noqa: PLC0415
    from .voice import speaking  # noqa: PLC0415

    layout, folder = read_json(document["layout_url"]), current_stage().folder
    scenes, urls = layout["scenes"], []
    progress(1, substep=f"0/{len(scenes)}", log="성우: 음성 합성 중...")
    with scratch_folder() as scratch, speaking(layout["language"]) as speaker:
        for number, scene in enumerate(scenes, start=1):
            path = scratch / f"voice-{number:02d}.wav"
            speaker.say(scene["narration"], path, within=scene["seconds"] - LEAD_IN - LEAD_OUT)
            urls.append(folder.write_bytes(path.name, path.read_bytes()))
            _report(100 * number / len(scenes), f"{number}/{len(scenes)}")
    return {"voice_urls": urls}


@stage(name="RENDERING", actor_name="autoshorts.rendering", **_OPTIONS)
def rendering_stage(assets: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the video.

    Args:
        assets: what designer, composer and voice have returned.

    Returns:
        All of it in one document, with ``video_url`` (MP4) and ``seconds``.

    Raises:
        FfmpegError: ffmpeg has failed.
    """
    from actors.scratch import scratch_folder  # noqa: PLC0415

    from .rendering import render  # noqa: PLC0415

    document = {name: value for asset in assets for name, value in asset.items()}
    layout, folder = read_json(document["layout_url"]), current_stage().folder
    with ExitStack() as files:
        materials, slots = _materials(files, document, layout)
        music = files.enter_context(local_copy(document["music_url"]))
        target = files.enter_context(scratch_folder()) / "short.mp4"
        render(layout, slots, materials, music, target, _report)
        url = _stored(folder, target)
    progress(99, log=f"렌더링 완료: {url}")
    return {**document, "video_url": url, "seconds": round(slots[-1].start + slots[-1].seconds, 2)}


def _materials(
    files: ExitStack, document: dict[str, Any], layout: dict[str, Any]
) -> tuple[list[Material], list[Slot]]:
    """The files of each scene on this machine, for as long as ``files`` is open; and when each is shown."""
    from .rendering import Material, seconds_of_wav, timetable  # noqa: PLC0415

    urls = zip(document["image_urls"], document["words_urls"], document["voice_urls"], strict=True)
    materials = [Material(*(files.enter_context(local_copy(url)) for url in own)) for own in urls]
    spoken = [seconds_of_wav(material.narration) for material in materials]
    return materials, timetable(layout["scenes"], spoken, layout["frames_per_second"])


def _stored(folder: Folder, path: Path) -> str:
    """A finished file in the chain's folder: whole, or not there."""
    with path.open("rb") as source, folder.open(path.name, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return folder.url_of(path.name)


@stage(name="QA", actor_name="autoshorts.qa", **{**_OPTIONS, "throws": (BadInput, QualityError)})
def qa_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Look at the finished video; its report (JSON) is written whether it passes or not.

    Returns:
        The chain's final result: ``video_url``, ``seconds``, ``scenes``, ``engine``, ``qa`` (what was
        measured), and ``artifacts``: the URLs of all files.

    Raises:
        QualityError: names what is not as it should be.
    """
    layout, folder = read_json(document["layout_url"]), current_stage().folder
    seconds = document["seconds"]
    with local_copy(document["video_url"]) as path:
        checks = check_streams(path, layout["width"], layout["height"], seconds)
        progress(20, log="QA: 영상 파일 확인 완료")
        # Without picture and sound there is nothing to look at.
        if all(check.passed for check in checks):
            checks += check_content(path, seconds, lambda percent: _report(20 + 0.7 * percent))
        size = path.stat().st_size
    progress(95, log="QA: 화면과 소리 확인 완료")
    report = as_report(checks, {"video_url": document["video_url"], "bytes": size})
    report_url = folder.write_json("qa.json", report)
    if failed := [check for check in checks if not check.passed]:
        raise QualityError(failed)
    return {
        "video_url": document["video_url"],
        "seconds": seconds,
        "scenes": len(layout["scenes"]),
        "engine": document["engine"],
        "qa": {check.name: check.measured for check in checks},
        "artifacts": {
            "video": document["video_url"],
            "csv": document["csv_url"],
            "layout": document["layout_url"],
            "images": document["image_urls"],
            "words": document["words_urls"],
            "music": document["music_url"],
            "voices": document["voice_urls"],
            "qa": report_url,
        },
    }


def _report(percent: float, substep: str | None = None) -> None:
    # A stage that has begun shows at least 1 %.
    progress(max(min(percent, 100.0), 1.0), substep=substep)
