// A long text as several messages, which is what Telegram's clients make of it.

export const TEXT_UNITS_MAX = 4096; // UTF-16 units, which is how JavaScript counts as well

// Splits at the end of a line or word if one is in the second half of a message.
export function pieces(text) {
  const found = [];
  let rest = text;
  while (rest.length > TEXT_UNITS_MAX) {
    const end = endOfPiece(rest);
    found.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...found, rest].filter((piece) => piece.trim());
}

function endOfPiece(text) {
  const head = text.slice(0, TEXT_UNITS_MAX);
  for (const gap of ["\n", " "]) {
    const at = head.lastIndexOf(gap);
    if (at >= TEXT_UNITS_MAX / 2) return at + 1;
  }
  const cutsPair = /[\uD800-\uDBFF]$/.test(head); // an emoji, say, is two units
  return cutsPair ? TEXT_UNITS_MAX - 1 : TEXT_UNITS_MAX;
}
