/* Moves the bar of each run that is under way, and shows the page anew when its state has changed. */

const PAUSE = 1000;

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

async function follow(box) {
  const bar = box.querySelector("progress");
  const line = box.querySelector("[role=status]");
  const news = box.querySelector("[data-news]");
  for (;;) {
    await pause();
    if (document.hidden) continue;
    try {
      const response = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } });
      if (!response.ok || response.redirected) return;
      const run = await response.json();
      if (run.state !== box.dataset.state) return location.reload();
      bar.value = run.done;
      if (news) news.textContent = run.news;
      if (run.line && line.textContent !== run.line) line.textContent = run.line;
    } catch {
      line.textContent = "The server does not answer; still trying.";
    }
  }
}

document.querySelectorAll("[data-progress]").forEach(follow);
