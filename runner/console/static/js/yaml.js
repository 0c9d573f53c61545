/* Colours for pipeline files: enough of YAML to read one, line by line. */

const KEY = /^(\s*(?:- +)*)((?:"[^"]*"|'[^']*'|[^\s#"'&*!|>{[\]},:-][^#:]*|-[^\s:][^:]*?))(\s*:)(?=\s|$)/;
const PIECE = /("(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?)|(\$\{\{.*?\}\}|\$\{[^}]*\})|((?:^|\s)#.*$)|(^|[\s,[{:])(true|false|null|yes|no|on|off|~|-?\d[\d_.]*(?:ms|s|m|h|d|k|M|G|Mi|Gi)?)(?=$|[\s,\]}])|([&*!][\w.-]+)/g;

function part(kind, text) {
  const span = document.createElement("span");
  span.className = `y-${kind}`;
  span.textContent = text;
  return span;
}

function value(out, text) {
  let at = 0;
  PIECE.lastIndex = 0;
  for (let match; (match = PIECE.exec(text)); at = PIECE.lastIndex) {
    if (match.index > at) out.push(text.slice(at, match.index));
    if (match[1] !== undefined) out.push(part("text", match[1]));
    else if (match[2] !== undefined) out.push(part("expr", match[2]));
    else if (match[3] !== undefined) out.push(part("comment", match[3]));
    else if (match[5] !== undefined) {
      if (match[4]) out.push(match[4]);
      out.push(part("atom", match[5]));
    } else out.push(part("anchor", match[6]));
    if (PIECE.lastIndex === match.index) PIECE.lastIndex++;
  }
  if (at < text.length) out.push(text.slice(at));
}

/* Fills `element` with the file, a div for each line. */
export function colour(element, source) {
  let block = -1; /* deeper lines than this are text */
  const lines = source.split("\n").map((line) => {
    const out = [];
    const indent = line.search(/\S/);
    const row = document.createElement("div");
    if (block >= 0 && (indent < 0 || indent > block)) {
      out.push(part("text", line));
    } else {
      block = -1;
      const key = KEY.exec(line);
      let rest = line;
      if (key) {
        out.push(key[1], part("key", key[2]), key[3]);
        rest = line.slice(key[0].length);
      }
      if (/(?:^|\s)[|>][+-]?\d?\s*(?:#.*)?$/.test(rest)) block = key ? key[1].length : indent;
      value(out, rest);
    }
    row.append(...out, out.length && line ? "" : "\u200b");
    return row;
  });
  element.replaceChildren(...lines);
}
