// Draw each chart when it scrolls near the screen. Until the first one, Plotly is not parsed.
const COARSE = matchMedia('(pointer: coarse)').matches;
const CONFIG = {
  displaylogo: false, responsive: true, displayModeBar: COARSE ? false : 'hover',
  modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d', 'toImage']],
};

function plotly() {
  if (byId('plotly-source')) {
    const script = make('script', { textContent: byId('plotly-source').textContent });
    document.head.append(script);
    byId('plotly-source').remove();
  }
  return window.Plotly;
}

/** Return the ticks of a logarithmic axis: 1, 2 and 5 where there is room, else powers of ten. */
function steps(traces, side) {
  const values = traces.flatMap((trace) => trace[side]).filter((value) => value > 0);
  let [low, high] = [Infinity, 0];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const decades = Math.log10(high / low);
  const room = side === 'x' && innerWidth < 600 ? 1.5 : 2.6;
  return decades < 0.8 ? 'D1' : decades < room ? 'D2' : Math.ceil(decades / (3 * room));
}

function axisOf(axis, traces, side) {
  const dtick = axis.log ? steps(traces, side) : undefined;
  return {
    dtick, exponentformat: 'power',
    title: { text: escaped(axis.title), standoff: 12 }, type: axis.log ? 'log' : 'linear',
    tickformat: axis.ticks || (axis.log && !(dtick > 1) ? '~g' : ''), automargin: true, zeroline: false,
    gridcolor: styleOf('--grid'), linecolor: styleOf('--rule'), nticks: innerWidth < 600 ? 5 : 0,
  };
}

function layoutOf(view) {
  const ink = styleOf('--ink');
  return {
    xaxis: axisOf(view.x, view.traces, 'x'), yaxis: axisOf(view.y, view.traces, 'y'), showlegend: false, hovermode: 'closest',
    margin: { t: 16, r: 12, b: 12, l: 12 }, paper_bgcolor: 'transparent',
    plot_bgcolor: 'transparent', dragmode: COARSE ? false : 'zoom',
    font: { family: styleOf('--sans'), size: 13, color: ink },
    hoverlabel: {
      bgcolor: styleOf('--panel'), bordercolor: styleOf('--rule'), align: 'left',
      font: { family: styleOf('--sans'), size: 13, color: ink },
    },
    modebar: { bgcolor: 'transparent', color: styleOf('--soft'), activecolor: styleOf('--accent') },
  };
}

/** A chart on the page, which shows one view at a time. */
class Picture {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector('[data-plot]');
    this.values = figure.querySelector('[data-values]');
    this.hidden = new Set();
    this.at = [-1, -1];
    this.plot.addEventListener('keydown', (event) => this.walk(event));
    this.values.addEventListener('toggle', () => this.list());
  }

  show(view) {
    this.view = view;
    this.at = [-1, -1];
    const colours = { '@ink': styleOf('--ink'), '@muted': styleOf('--soft') };
    this.traces = view.traces.map((trace) => coloured(trace, colours));
    legend(this.figure.querySelector('[data-legend]'), this.traces, this.hidden, () => this.draw());
    const note = view.note ? `${view.note[0].toUpperCase()}${view.note.slice(1)}.` : '';
    this.figure.querySelector('[data-note]').textContent = note;
    this.draw();
    this.list();
  }

  draw() {
    const traces = this.traces.map((t) => ({ ...t, visible: !this.hidden.has(t.legendgroup) }));
    return plotly().react(this.plot, traces, layoutOf(this.view), CONFIG);
  }

  /** Handle the arrow keys, which move between the marks of a series and between series. */
  walk(event) {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const step = steps[event.key];
    const series = (this.traces ?? [])
      .map((trace, place) => ({ trace, place }))
      .filter(({ trace }) => trace.text && !this.hidden.has(trace.legendgroup));
    if (!step || !series.length) return;
    event.preventDefault();
    const turn = (value, size) => (value + size) % size;
    const start = this.at[0] < 0;
    const line = start ? 0 : turn(this.at[0] + step[0], series.length);
    const { trace, place } = series[line];
    const mark = start || step[0] ? 0 : turn(this.at[1] + step[1], trace.text.length);
    this.at = [line, mark];
    window.Plotly.Fx.hover(this.plot, [{ curveNumber: place, pointNumber: mark }]);
    announce(`${trace.name}, ${mark + 1} of ${trace.text.length}: ${linesOf(trace.text[mark]).join(', ')}`);
  }

  /** Fill the table of the marks, if it is open. */
  list() {
    if (!this.values.open || !this.view) return;
    const cells = ({ trace, place }) => [
      trace.name, linesOf(trace.text[place]).join(' · '), said(trace.x[place]), said(trace.y[place]),
    ];
    const marks = this.traces.filter((trace) => trace.text)
      .flatMap((trace) => trace.text.map((_, place) => ({ trace, place })));
    const shown = evenly(marks, 500);
    const heads = ['Series', 'Mark', this.view.x.title, this.view.y.title];
    const head = make('tr', {}, ...heads.map((name) => make('th', { scope: 'col' }, name)));
    const rows = shown.map((mark) => make('tr', {}, ...cells(mark).map((cell) => make('td', {}, cell))));
    const count = shown.length < marks.length ? `${shown.length} of ${marks.length} marks` : `${marks.length} marks`;
    this.values.querySelector('.scroll').replaceChildren(make(
      'table', {}, make('caption', {}, count), make('thead', {}, head), make('tbody', {}, ...rows)));
  }
}

/** Return the charts of the page; `wake` of each draws it for the first time. */
function charts() {
  const found = dataOf('charts');
  return [...document.querySelectorAll('[data-chart]')].map((figure) => {
    const picture = new Picture(figure);
    const views = found[figure.dataset.chart].views;
    const pick = figure.querySelector('[data-view]');
    pick?.addEventListener('change', () => picture.show(views[Number(pick.value)]));
    return { figure, picture, wake: () => picture.show(views[pick ? Number(pick.value) : 0]) };
  });
}
