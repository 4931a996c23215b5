// Start the page. The browser paints it before any script computes something.
function themes(redraw) {
  const select = byId('theme');
  select.value = document.documentElement.dataset.theme ?? 'auto';
  select.addEventListener('change', () => {
    if (select.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    try { localStorage.setItem('rankbench-theme', select.value); } catch { /* as in theme.js */ }
    redraw();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
}

/** Mark the link to the section that is in view. */
function places() {
  const links = new Map([...document.querySelectorAll('.bar a')].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      const link = links.get(target.id);
      if (isIntersecting) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }, { rootMargin: '-30% 0px -65% 0px' });
  for (const id of links.keys()) watch.observe(byId(id));
}

function copying() {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    const code = button.parentElement.querySelector('code');
    try {
      await navigator.clipboard.writeText(code.textContent);
      announce('Copied');
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    } catch { getSelection().selectAllChildren(code); }  // Browsers may block this for local files.
  });
}

/** Call `wake` of each picture once, when its figure scrolls near the screen. */
function waking(pictures) {
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      pictures.find(({ figure }) => figure === target).wake();
    }
  }, { rootMargin: '300px 0px' });
  for (const { figure } of pictures) watch.observe(figure);
}

function start() {
  const runs = new Runs(dataOf('runs'));
  const table = new RunsTable(runs);
  const explorer = new Explorer(runs);
  runs.changed = () => { table.rows(); explorer.later(); };
  const drawn = [...charts(), { figure: explorer.figure, picture: explorer.picture, wake: () => explorer.wake() }];
  themes(() => drawn.forEach(({ picture }) => picture.view && picture.show(picture.view)));
  claims();
  places();
  copying();
  waking(drawn);
  performance.mark('ready');
  document.documentElement.dataset.ready = 'true';
  // Prepare the search and Plotly while the page is idle, before the reader needs them.
  setTimeout(() => runs.lines, 200);
  (window.requestIdleCallback ?? setTimeout)(plotly, { timeout: 4000 });
}

requestAnimationFrame(() => setTimeout(start));
