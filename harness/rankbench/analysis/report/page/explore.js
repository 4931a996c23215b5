// The chart of the filtered runs: any column against any other.
const MARKS = 1500;

class Explorer {
  constructor(runs) {
    this.runs = runs;
    this.figure = byId('explore');
    this.picture = new Picture(this.figure);
    const numbers = runs.columns.filter((column) => !column.words);
    for (const side of ['x', 'y']) {
      const select = byId(`explore-${side}`);
      select.append(...numbers.map((column) => make('option', { value: column.name }, column.name)));
      select.value = runs.data[side];
      select.addEventListener('change', () => this.draw());
    }
  }

  wake() { this.awake = true; this.draw(); }

  /** Draw after a delay, so that the table is updated first while the reader types. */
  later() {
    clearTimeout(this.waiting);
    if (this.awake) this.waiting = setTimeout(() => this.draw(), 250);
  }

  column(side) {
    const name = byId(`explore-${side}`).value;
    return this.runs.columns.find((column) => column.name === name);
  }

  draw() {
    const [x, y] = [this.column('x'), this.column('y')];
    if (!x || !y) return;
    const known = this.runs.left.filter((row) => x.values[row] !== null && y.values[row] !== null);
    const drawn = evenly(known, MARKS).slice().sort((a, b) => a - b);
    const axis = (column) => {
      const [low, high] = this.ends(column, known);
      const title = column.unit ? `${column.name} (${column.unit})` : column.name;
      return { title, log: low > 0 && high / low > 8, ticks: high >= 1e4 ? '~s' : '' };
    };
    this.picture.show({
      traces: this.traces(drawn, x, y), x: axis(x), y: axis(y), note: this.note(known, drawn),
    });
    this.figure.querySelector('.command code').textContent = this.command(x, y);
  }

  ends(column, rows) {
    let [low, high] = [Infinity, -Infinity];
    for (const row of rows) {
      low = Math.min(low, column.values[row]);
      high = Math.max(high, column.values[row]);
    }
    return [low, high];
  }

  traces(rows, x, y) {
    const kinds = this.runs.columns.find((column) => column.name === 'decomposition');
    const groups = new Map();
    for (const row of rows) {
      const kind = kinds ? this.runs.text(kinds, row) : '';
      if (!groups.has(kind)) groups.set(kind, []);
      groups.get(kind).push(row);
    }
    const places = Object.keys(this.runs.data.looks);
    const order = [...groups].sort(([a], [b]) => places.indexOf(a) - places.indexOf(b));
    return order.map(([kind, own]) => {
      const look = this.runs.data.looks[kind] ?? { name: kind || 'none', colour: '#7a7a7a', symbol: 'circle' };
      return {
        type: 'scatter', mode: 'markers', name: look.name, legendgroup: look.name, opacity: 0.75,
        x: own.map((row) => x.values[row]), y: own.map((row) => y.values[row]),
        text: own.map((row) => this.words(row, look.name, [x, y])),
        hovertemplate: '%{text}<extra></extra>',
        marker: { color: look.colour, symbol: look.symbol, size: 8 },
      };
    });
  }

  /** Return the text beside a mark: the columns that distinguish runs, and both axes. */
  words(row, name, axes) {
    const facts = this.runs.columns.filter((column) => column.shown && column.name !== 'decomposition');
    const ranks = this.runs.columns.find((column) => column.name === 'ranks');
    const lines = [...new Set([...facts, ...(ranks ? [ranks] : []), ...axes])]
      .filter((column) => column.values[row] !== null)
      .map((column) => `${escaped(column.name)} ${escaped(this.runs.text(column, row))}`);
    return [`<b>${escaped(name)}</b>`, ...lines].join('<br>');
  }

  note(known, drawn) {
    const apart = ['study', 'target', 'noise', 'split', 'dataset', 'rows', 'dtype'].filter((name) => {
      const column = this.runs.columns.find((one) => one.name === name);
      return column && new Set(known.map((row) => column.values[row])).size > 1;
    });
    const count = drawn.length < known.length
      ? `${drawn.length} of ${known.length.toLocaleString('en-US')} runs are drawn, evenly chosen`
      : `${known.length.toLocaleString('en-US')} runs`;
    return apart.length ? `${count}; they differ in ${apart.join(', ')}: filter to compare` : count;
  }

  command(x, y) {
    const column = (one) => (one.name === 'R'
      ? 'coalesce(rank, tucker_rank, tt_rank, tr_rank) as R' : one.name);
    const studies = this.runs.data.studies.map((name) => `'${name.replaceAll("'", "''")}'`);
    const sql = `select decomposition, ${column(x)}, ${column(y)} from runs where study in (${studies.join(', ')})`;
    // A shell interprets these characters in double quotes, but nothing in single quotes.
    const quoted = /["$`\\!]/.test(sql) ? `'${sql.replaceAll("'", `'"'"'`)}'` : `"${sql}"`;
    return `rankbench query ${quoted} ${this.runs.data.results}`;
  }
}
