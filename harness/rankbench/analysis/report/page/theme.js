// Set the theme before the page is painted, so that it never flashes in the other one.
try {
  const kept = localStorage.getItem('rankbench-theme');
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
} catch { /* a browser may keep nothing for files */ }
