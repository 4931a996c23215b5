// The table of runs, which filters, sorts and pages the packed columns.
const ROWS = innerWidth < 600 ? 20 : 50;
const RULE = /^([A-Za-z]\w*)(<=|>=|!=|=|<|>)(.+)$/;
const TESTS = {
  '<': (a, b) => a < b, '>': (a, b) => a > b, '<=': (a, b) => a <= b, '>=': (a, b) => a >= b,
  '=': (a, b) => a === b, '!=': (a, b) => a !== b,
};

class Runs {
  constructor(data) {
    this.data = data;
    this.columns = data.columns;
    this.named = new Map(this.columns.map((column) => [column.name.toLowerCase(), column]));
    this.chosen = new Map();  // Map a filter's column to the index of its chosen word.
    this.sorted = { column: null, down: false };
    this.left = Array.from({ length: data.count }, (_, row) => row);
    this.page = 0;
    this.changed = () => {};
  }

  text(column, row) {
    const value = column.values[row];
    if (value === null) return '';
    return column.words ? column.words[value] : said(value);
  }

  /** The texts of each run in lower case, for the search; computed once. */
  get lines() {
    this.known ??= this.left.map(() => '').map((_, row) => this.columns
      .filter((column) => column.words)
      .map((column) => this.text(column, row).toLowerCase()).join('\n'));
    return this.known;
  }

  /** Return the tests of a row that `words` stand for. Throws an Error for an unknown column. */
  tests(words) {
    const facets = [...this.chosen].map(([column, place]) => (row) => column.values[row] === place);
    return [...facets, ...words.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
      const [, name, sign, right] = word.match(RULE) ?? [];
      if (!name) return (row) => this.lines[row].includes(word);
      const column = this.named.get(name);
      if (!column) throw new Error(`There is no column ${name} here.`);
      const test = TESTS[sign];
      if (column.words) return (row) => test(this.text(column, row).toLowerCase(), right);
      const number = Number(right);
      if (Number.isNaN(number)) throw new Error(`${name} is compared with a number, not ${right}.`);
      return (row) => column.values[row] !== null && test(column.values[row], number);
    })];
  }

  filter(words) {
    const tests = this.tests(words);
    const all = Array.from({ length: this.data.count }, (_, row) => row);
    this.left = all.filter((row) => tests.every((test) => test(row)));
    this.page = 0;
    this.arrange();
  }

  sort(column) {
    const down = this.sorted.column === column && !this.sorted.down;
    this.sorted = { column, down };
    this.page = 0;
    this.arrange();
  }

  /** Sort the filtered rows; empty values come last. Indices of words are in sorted order. */
  arrange() {
    const { column, down } = this.sorted;
    if (column) {
      const value = column.values;
      const sign = down ? -1 : 1;
      this.left.sort((a, b) => (value[a] === null) - (value[b] === null)
        || sign * (value[a] - value[b]) || a - b);
    }
    this.changed();
  }
}

/** The table element that shows a `Runs`. */
class RunsTable {
  constructor(runs) {
    this.runs = runs;
    this.table = byId('runs-table');
    this.shown = new Set(runs.columns.filter((column) => column.shown));
    const turn = { first: () => 0, before: (p) => p - 1, next: (p) => p + 1, last: () => this.pages - 1 };
    for (const [name, to] of Object.entries(turn)) {
      byId(`runs-${name}`).addEventListener('click', () => { runs.page = to(runs.page); this.rows(); });
    }
    this.facets();
    this.picker();
    byId('runs-tools').addEventListener('submit', (event) => event.preventDefault());
    byId('runs-search').addEventListener('input', () => this.filter());
    this.head();
    this.rows();
  }

  get pages() { return Math.max(1, Math.ceil(this.runs.left.length / ROWS)); }

  filter() {
    const wrong = byId('runs-wrong');
    try {
      this.runs.filter(byId('runs-search').value);
      wrong.textContent = '';
    } catch (error) { wrong.textContent = error.message; }
  }

  facets() {
    const columns = this.runs.data.facets.slice(0, 6).map((name) => this.runs.named.get(name));
    byId('runs-facets').replaceChildren(...columns.map((column) => {
      const select = make('select', {}, make('option', { value: '' }, 'all'),
        ...column.words.map((word, place) => make('option', { value: place }, word)));
      select.dataset.facet = column.name;
      select.addEventListener('change', () => {
        if (select.value === '') this.runs.chosen.delete(column);
        else this.runs.chosen.set(column, Number(select.value));
        this.filter();
      });
      return make('label', { className: 'pick' }, make('span', {}, column.name), select);
    }));
  }

  picker() {
    byId('runs-columns').append(...this.runs.columns.map((column) => {
      const box = make('input', { type: 'checkbox', checked: column.shown });
      box.addEventListener('change', () => {
        if (box.checked) this.shown.add(column); else this.shown.delete(column);
        this.head();
        this.rows();
      });
      return make('label', { className: 'chip', title: column.meaning }, box, column.name);
    }));
  }

  get visible() { return this.runs.columns.filter((column) => this.shown.has(column)); }

  head() {
    const cells = this.visible.map((column) => {
      const button = make('button', { type: 'button', title: column.meaning }, column.name);
      button.addEventListener('click', () => { this.runs.sort(column); this.order(); });
      const cell = make('th', { scope: 'col', className: column.words ? '' : 'n' }, button);
      cell.dataset.column = column.name;
      return cell;
    });
    this.table.tHead.replaceChildren(make('tr', {}, ...cells));
    this.order();
  }

  order() {
    const { column, down } = this.runs.sorted;
    for (const cell of this.table.tHead.rows[0].cells) {
      const here = cell.dataset.column === column?.name;
      cell.setAttribute('aria-sort', here ? (down ? 'descending' : 'ascending') : 'none');
    }
  }

  rows() {
    const { left, page, data } = this.runs;
    const columns = this.visible;
    const rows = left.slice(page * ROWS, (page + 1) * ROWS).map((row) => {
      const cells = columns.map((column, place) => this.cell(column, row, place === 0));
      return make('tr', {}, ...cells);
    });
    this.table.tBodies[0].replaceChildren(...rows);
    const all = data.count.toLocaleString('en-US');
    const some = left.length.toLocaleString('en-US');
    byId('runs-count').textContent = left.length === data.count ? `${all} runs` : `${some} of ${all} runs`;
    byId('runs-page').textContent = `Page ${page + 1} of ${this.pages}`;
    for (const name of ['first', 'before']) byId(`runs-${name}`).disabled = page === 0;
    for (const name of ['next', 'last']) byId(`runs-${name}`).disabled = page + 1 >= this.pages;
  }

  cell(column, row, first) {
    const text = this.runs.text(column, row);
    const cell = make(first ? 'th' : 'td', { className: column.words ? '' : 'n' });
    if (first) cell.scope = 'row';
    const look = column.name === 'decomposition' ? this.runs.data.looks[text] : null;
    if (look) {
      const dot = make('span', { className: 'dot', 'aria-hidden': 'true' }, look.glyph);
      dot.style.color = look.colour === '@ink' ? 'var(--ink)' : look.colour;
      cell.append(dot);
    }
    if (text.length > 40) cell.title = text;
    cell.append(look ? look.name : text);
    return cell;
  }
}
