"""The tools of the model "demo": one that asks first, one that makes a picture, one that takes its time."""

import asyncio
import struct
import zlib
from collections.abc import Sequence

from tgbot.agents.llm.tools.marks import Function, tool
from tgbot.model import File

PAY_SECONDS = 10.0  # for a person to reach the button that kills
BARS_MAX = 40
WIDTH, HEIGHT, MARGIN = 640, 360, 24  # pixels
PALETTE = bytes.fromhex("f7f9fc 2a62d6 9aa9b8")  # the background, the bars, the line below them
BAR, LINE = 1, 2


@tool(ask=True, progress="Paying {amount} to {to}")
async def pay(amount: str, to: str) -> str:
    """Pay somebody."""
    await asyncio.sleep(PAY_SECONDS)
    return f"Paid {amount} to {to}."


@tool(idempotent=True, progress="Step {step} of {of}")
async def work(step: int, of: int, seconds: float) -> str:
    """Do one step of a long task."""
    await asyncio.sleep(seconds)
    return f"Step {step} of {of} is done."


@tool(idempotent=True, progress="Drawing")
def draw_chart(values: list[float]) -> File:
    """Draw a bar chart."""
    caption = ", ".join(f"{value:g}" for value in values[:BARS_MAX])
    return File("chart.png", bar_chart(values[:BARS_MAX]), "photo", caption)


FUNCTIONS: dict[str, Function] = {"pay": pay, "work": work, "draw_chart": draw_chart}


def bar_chart(values: Sequence[float]) -> bytes:
    """Draw values of 0 or more as a PNG; the largest one has the full height."""
    top = max(values) or 1
    heights = [round(value / top * (HEIGHT - 2 * MARGIN)) for value in values]
    pixels = b"".join(b"\0" + _row(HEIGHT - MARGIN - y, heights) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)  # 8 bits a pixel, with a palette
    chunks = ((b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _row(above: int, heights: Sequence[int]) -> bytes:
    """Make the pixels of one row, which is so many pixels above the line."""
    row = bytearray(WIDTH)
    slot = (WIDTH - 2 * MARGIN) / len(heights)
    for number, height in enumerate(heights):
        if 0 < above <= height:
            start, end = round(MARGIN + (number + 0.15) * slot), round(MARGIN + (number + 0.85) * slot)
            row[start:end] = bytes([BAR]) * (end - start)
    if -1 <= above <= 0:
        row[MARGIN:-MARGIN] = bytes([LINE]) * (WIDTH - 2 * MARGIN)
    return bytes(row)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
