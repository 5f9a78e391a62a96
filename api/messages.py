"""What the API says to people, in Korean and in English. Codes are the same in both."""

from __future__ import annotations

from functools import lru_cache

import falcon

KOREAN, ENGLISH = "ko", "en"

_TEXTS: dict[str, tuple[str, str]] = {
    # answers
    "tasks_read": (
        "체인 '{chain_id}'의 태스크 목록 조회 완료 (총 {count}개 태스크)",
        "Read the tasks of chain '{chain_id}' ({count} tasks in all)",
    ),
    "stage_read": (
        "체인 '{chain_id}'의 단계 {stage} 태스크 상태 조회 완료",
        "Read the task status of stage {stage} of chain '{chain_id}'",
    ),
    "chain_started": ("파이프라인 시작됨: {workflow}", "Pipeline started: {workflow}"),
    "chain_resumed": (
        "체인 '{chain_id}'이(가) 단계 {stage}부터 다시 시작됨",
        "Chain '{chain_id}' goes on from stage {stage}",
    ),
    "chain_revoked": ("체인 '{chain_id}' 취소됨", "Chain '{chain_id}' revoked"),
    "workflows_read": ("워크플로 {count}개 조회 완료", "Read {count} workflows"),
    "batch_read": ("배치 '{batch_id}' 상태 조회 완료", "Read the status of batch '{batch_id}'"),
    "batches_read": ("배치 {count}개 조회 완료", "Read {count} batches"),
    "batch_started": (
        "배치 파이프라인 시작됨: {count}개 이미지",
        "Batch pipeline started: {count} images",
    ),
    "batch_retried": (
        "배치 '{batch_id}'의 실패한 이미지 {count}개 재처리 시작됨",
        "{count} failed images of batch '{batch_id}' are retried",
    ),
    "batch_retry_planned": (
        "배치 '{batch_id}'의 실패한 이미지 {count}개를 재처리할 수 있습니다",
        "{count} failed images of batch '{batch_id}' would be retried",
    ),
    "batch_revoked": ("배치 '{batch_id}' 취소됨", "Batch '{batch_id}' revoked"),
    "batch_items_read": (
        "배치 '{batch_id}'의 이미지 {count}개 조회 완료",
        "Read {count} images of batch '{batch_id}'",
    ),
    "batch_statistics_read": ("배치 {count}개 통계 조회 완료", "Read the statistics of {count} batches"),
    "token_made": ("토큰 발급 완료 ({seconds}초간 유효)", "Token made, good for {seconds} seconds"),
    # refusals
    "chain_not_found": ("체인을 찾을 수 없습니다", "The chain was not found"),
    "stage_not_found": ("체인에 그런 단계가 없습니다", "The chain has no such stage"),
    "stage_invalid": ("단계는 숫자여야 합니다", "A stage is a number"),
    "file_not_found": ("파일을 찾을 수 없습니다", "The file was not found"),
    "job_not_found": ("작업을 찾을 수 없습니다", "The job was not found"),
    "video_not_found": ("비디오를 찾을 수 없습니다", "The video was not found"),
    "batch_not_found": ("배치를 찾을 수 없습니다", "The batch was not found"),
    "batch_invalid": ("배치를 시작할 수 없습니다", "The batch cannot be started"),
    "batch_refused": ("이 배치로는 할 수 없습니다", "This cannot be done with the batch"),
    "batch_state": ("배치의 현재 상태에서는 할 수 없습니다", "The batch's state forbids this"),
    "chain_state": ("체인의 현재 상태에서는 할 수 없습니다", "The chain's state forbids this"),
    "unknown_workflow": ("그런 워크플로가 없습니다", "There is no such workflow"),
    "workflow_unusable": ("워크플로를 실행할 수 없습니다", "The workflow cannot be run"),
    "workflow_unavailable": (
        "워크플로에 필요한 패키지가 설치되어 있지 않습니다",
        "What the workflow needs is not installed",
    ),
    "input_invalid": ("입력이 올바르지 않습니다", "The input is not valid"),
    "query_invalid": ("요청 매개변수가 올바르지 않습니다", "A query parameter is not valid"),
    "body_invalid": ("요청 본문이 올바르지 않습니다", "The request body is not valid"),
    "place_refused": ("이 파일 경로는 사용할 수 없습니다", "This file path may not be used"),
    "file_refused": ("이 파일 형식은 사용할 수 없습니다", "Files of this kind are not taken"),
    "too_slow": ("요청 본문이 제때 도착하지 않았습니다", "The request's body did not come in time"),
    "too_large": ("요청이 너무 큽니다", "The request is too large"),
    "unauthorized": ("API 키가 필요합니다", "An API key is needed"),
    "forbidden": ("권한이 없습니다", "This is not allowed"),
    "not_found": ("찾을 수 없습니다", "Not found"),
    "method_not_allowed": ("허용되지 않는 메서드입니다", "The method is not allowed"),
    "bad_request": ("잘못된 요청입니다", "The request cannot be read"),
    "media_type": ("지원하지 않는 형식입니다", "The media type is not supported"),
    "unavailable": (
        "서비스를 일시적으로 사용할 수 없습니다. 잠시 후 다시 시도하세요",
        "The service cannot answer just now; try again shortly",
    ),
    "not_ready": ("준비되지 않았습니다", "Not ready"),
    "internal_error": ("서버 내부 오류가 발생했습니다", "Something went wrong on our side"),
}


def language_of(request: falcon.Request, otherwise: str = KOREAN) -> str:
    """``ko`` or ``en``: the first of them in ``Accept-Language``, else ``otherwise``."""
    header = request.get_header("Accept-Language")
    return otherwise if header is None else _first_known(header, otherwise)


@lru_cache(maxsize=256)
def _first_known(header: str, otherwise: str) -> str:
    for part in header[:200].split(","):
        name = part.partition(";")[0].strip().lower()[:2]
        if name in (KOREAN, ENGLISH):
            return name
    return otherwise


def text(language: str, code: str, **facts: object) -> str:
    """The message of that code."""
    return _TEXTS[code][language == ENGLISH].format(**facts)
