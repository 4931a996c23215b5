// The filters of the table of claims.
function claims() {
  const tools = byId('claims-tools');
  const places = [...byId('claims-ledger').querySelectorAll('tbody')].map((body) => ({
    body,
    rows: [...body.querySelectorAll('[data-verdict]')].map((row) => ({
      row, verdict: row.dataset.verdict,
      text: `${body.rows[0].textContent} ${row.textContent}`.toLowerCase(),
    })),
  }));
  const filter = () => {
    const verdicts = new Set([...tools.querySelectorAll(':checked')].map((box) => box.value));
    const words = byId('claims-search').value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { body, rows } of places) {
      let some = 0;
      for (const { row, verdict, text } of rows) {
        row.hidden = !verdicts.has(verdict) || !words.every((word) => text.includes(word));
        some += !row.hidden;
      }
      body.hidden = some === 0;
      count += some;
    }
    byId('claims-count').textContent = count === 1 ? '1 claim' : `${count} claims`;
    byId('claims-none').hidden = count > 0;
  };
  tools.addEventListener('input', filter);
  tools.addEventListener('submit', (event) => event.preventDefault());
}
