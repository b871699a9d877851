/* Moves the bar of each run that is under way, and shows the page anew when its state has changed, unless
   somebody is editing it. */

const PAUSE = 1000;

let edited = false;
document.addEventListener("input", () => (edited = true));

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
      // What somebody is typing into the page is worth more than its latest figures.
      if (run.state !== box.dataset.state && !edited) return location.reload();
      bar.value = run.done;
      if (news) news.textContent = run.news;
      if (run.line && line.textContent !== run.line) line.textContent = run.line;
      if (run.ended) return;
    } catch {
      line.textContent = "The server does not answer; still trying.";
    }
  }
}

document.querySelectorAll("[data-progress]").forEach(follow);
