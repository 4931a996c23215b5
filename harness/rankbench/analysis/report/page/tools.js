// What every part of the page uses. Texts reach the page as text, never as HTML.
const byId = (id) => document.getElementById(id);
const dataOf = (name) => JSON.parse(byId(`${name}-data`).textContent);
const announce = (text) => { byId('live').textContent = text; };

/** An element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== 'role') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A number as a reader takes it in: whole in groups of three, else four digits that count. */
function said(value) {
  if (value === null || value === undefined) return '';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e4 ? value.toPrecision(4) : value.toExponential(3);
}

/** For Plotly, which reads a little HTML in what it shows. */
const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The lines of a text that was escaped for Plotly. */
const linesOf = (text) => text.split('<br>').map((line) => line.replace(/<\/?b>/g, '')
  .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A trace with the page's own colours in place of their names. */
function coloured(value, colours) {
  if (typeof value === 'string') return colours[value] ?? value;
  if (Array.isArray(value) || value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, colours)]));
}

/** About `count` of `items`, evenly chosen. */
function evenly(items, count) {
  if (items.length <= count) return items;
  const step = (items.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, place) => items[Math.round(place * step)]);
}
