/* Colours of terminals: text with escape sequences as parts that look the same. What is no colour
 * is left out. */

const SEQUENCE = /\x1b(?:\[([0-9;:]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_]|[ -/]+[0-~])/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;

const PLAIN = Object.freeze({ fg: "", bg: "", bold: false, dim: false, italic: false, under: false, strike: false, inverse: false });

function cube(index) {
  if (index < 16) return `c${index}`;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey},${grey},${grey})`;
  }
  const level = (number) => (number ? 55 + number * 40 : 0);
  const at = index - 16;
  return `rgb(${level(Math.floor(at / 36))},${level(Math.floor(at / 6) % 6)},${level(at % 6)})`;
}

/* 38;5;N or 38;2;R;G;B: returns the colour and how many numbers it took. */
function extended(numbers, at) {
  const byte = (value) => Math.min(255, Math.max(0, value || 0));
  if (numbers[at] === 5) return [cube(byte(numbers[at + 1])), 2];
  if (numbers[at] === 2) return [`rgb(${byte(numbers[at + 1])},${byte(numbers[at + 2])},${byte(numbers[at + 3])})`, 4];
  return ["", 1];
}

function apply(state, codes) {
  const numbers = codes.split(/[;:]/).map(Number);
  let next = { ...state };
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i];
    if (n === 0) next = { ...PLAIN };
    else if (n === 1) next.bold = true;
    else if (n === 2) next.dim = true;
    else if (n === 3) next.italic = true;
    else if (n === 4) next.under = true;
    else if (n === 7) next.inverse = true;
    else if (n === 9) next.strike = true;
    else if (n === 22) next.bold = next.dim = false;
    else if (n === 23) next.italic = false;
    else if (n === 24) next.under = false;
    else if (n === 27) next.inverse = false;
    else if (n === 29) next.strike = false;
    else if (n >= 30 && n <= 37) next.fg = `c${n - 30}`;
    else if (n === 39) next.fg = "";
    else if (n >= 40 && n <= 47) next.bg = `c${n - 40}`;
    else if (n === 49) next.bg = "";
    else if (n >= 90 && n <= 97) next.fg = `c${n - 82}`;
    else if (n >= 100 && n <= 107) next.bg = `c${n - 92}`;
    else if (n === 38 || n === 48) {
      const [colour, count] = extended(numbers, i + 1);
      next[n === 38 ? "fg" : "bg"] = colour;
      i += count;
    }
  }
  return next;
}

function is_plain(state) {
  return !state.fg && !state.bg && !state.bold && !state.dim && !state.italic && !state.under && !state.strike && !state.inverse;
}

/* What a terminal shows of a line in which the cursor goes back: what was written last. */
function overwritten(line) {
  const shown = line.endsWith("\r") ? line.slice(0, -1) : line;
  const at = shown.lastIndexOf("\r");
  return at < 0 ? shown : shown.slice(at + 1);
}

/* A line as {plain, parts, state}: `parts` is null if all of it is plain, else [[text, state] …];
 * `state` is what the next line begins with, null for plain. */
export function parse_line(line, before) {
  const shown = overwritten(line);
  if (!before && !shown.includes("\x1b")) return { plain: shown.replace(CONTROL, ""), parts: null, state: null };
  let state = before ?? PLAIN;
  const parts = [];
  let at = 0;
  const push = (piece) => {
    const clean = piece.replace(CONTROL, "");
    if (clean) parts.push([clean, is_plain(state) ? null : state]);
  };
  SEQUENCE.lastIndex = 0;
  for (let match; (match = SEQUENCE.exec(shown)); at = SEQUENCE.lastIndex) {
    push(shown.slice(at, match.index));
    if (match[2] === "m") state = apply(state, match[1]);
  }
  push(shown.slice(at));
  return {
    plain: parts.map(([piece]) => piece).join(""),
    parts: parts.some(([, look]) => look) ? parts : null,
    state: is_plain(state) ? null : state,
  };
}

/* Gives an element the look of a state. */
export function paint(element, state) {
  let { fg, bg } = state;
  if (state.inverse) [fg, bg] = [bg || "back", fg || "front"];
  const classes = [];
  if (fg.startsWith("rgb")) element.style.color = fg;
  else if (fg) classes.push(`f-${fg}`);
  if (bg.startsWith("rgb")) element.style.backgroundColor = bg;
  else if (bg) classes.push(`b-${bg}`);
  for (const name of ["bold", "dim", "italic", "under", "strike"]) if (state[name]) classes.push(`a-${name}`);
  if (classes.length) element.className = classes.join(" ");
}
