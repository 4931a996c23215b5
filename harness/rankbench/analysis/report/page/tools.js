// Functions that all scripts of the page use. They insert text as text, never as HTML.
const byId = (id) => document.getElementById(id);
const dataOf = (name) => JSON.parse(byId(`${name}-data`).textContent);
const announce = (text) => { byId('live').textContent = text; };

/** Make an element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== 'role') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Format a number: digits in groups of three if whole, else four significant digits. */
function said(value) {
  if (value === null || value === undefined) return '';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e4 ? value.toPrecision(4) : value.toExponential(3);
}

/** Escape a text for Plotly, which interprets some HTML. */
const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Return the lines of a text that was escaped for Plotly. */
const linesOf = (text) => text.split('<br>').map((line) => line.replace(/<\/?b>/g, '')
  .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Return a trace with the page's colours in place of the placeholders. */
function coloured(value, colours) {
  if (typeof value === 'string') return colours[value] ?? value;
  if (Array.isArray(value) || value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, colours)]));
}

/** Return about `count` of `items`, evenly chosen. */
function evenly(items, count) {
  if (items.length <= count) return items;
  const step = (items.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, place) => items[Math.round(place * step)]);
}
