// A legend made of buttons, which wraps on a phone and works with the keyboard.
const SHAPES = {
  square: 'M3 3h10v10H3z', x: 'M3 5 5 3l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z',
  'triangle-down': 'M2 4h12L8 14z', 'triangle-up': 'M2 13h12L8 3z',
  cross: 'M6 2h4v4h4v4h-4v4H6v-4H2V6h4z', diamond: 'M8 1l6 7-6 7-6-7z',
  'diamond-tall': 'M8 1l4 7-4 7-4-7z', circle: 'M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z',
  star: 'M8 1l2 5h5l-4 3 1.5 5L8 11l-4.500 3L5 9 1 6h5z', 'line-ew': 'M1 7h14v2H1z',
};
const DASHES = { dash: '5 2.5', dot: '1.5 2', dashdot: '5 2 1.5 2', solid: '' };

function drawing(trace) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const line = trace.mode === 'lines';
  const hollow = !line && trace.marker.symbol.endsWith('-open');
  const hue = line ? trace.line.color : trace.marker.color;
  const attributes = {
    d: line ? 'M0 8h26' : SHAPES[trace.marker.symbol.replace('-open', '')],
    fill: line || hollow ? 'none' : hue,
    stroke: line || hollow ? hue : 'none',
    'stroke-width': line ? 2.2 : 1.6,
    'stroke-dasharray': line ? DASHES[trace.line.dash ?? 'solid'] : '',
  };
  for (const [name, value] of Object.entries(attributes)) path.setAttribute(name, value);
  svg.setAttribute('width', line ? 26 : 16);
  svg.setAttribute('height', 16);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(path);
  return svg;
}

/** Make a button for each group of `traces`; pressing it shows or hides the group by `toggle`. */
function legend(place, traces, hidden, toggle) {
  const strongest = new Map();
  for (const trace of traces) {
    const known = strongest.get(trace.legendgroup);
    const better = !known || trace.mode === 'markers' && (trace.opacity ?? 1) >= (known.opacity ?? 1);
    if (trace.mode !== 'none' && better) strongest.set(trace.legendgroup, trace);
  }
  place.replaceChildren(...[...strongest].map(([group, trace]) => {
    const button = make('button', { type: 'button' }, drawing(trace), trace.name);
    button.setAttribute('aria-pressed', String(!hidden.has(group)));
    button.addEventListener('click', () => {
      if (!hidden.delete(group)) hidden.add(group);
      button.setAttribute('aria-pressed', String(!hidden.has(group)));
      toggle();
    });
    return button;
  }));
}
