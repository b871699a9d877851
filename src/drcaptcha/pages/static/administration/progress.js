/* Moves the bar of each run that is under way, and shows its page anew once it has ended. */

const PAUSE = 1000;

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

async function follow(box) {
  const bar = box.querySelector("progress");
  const line = box.querySelector("[role=status]");
  for (;;) {
    await pause();
    if (document.hidden) continue;
    try {
      const response = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } });
      if (!response.ok || response.redirected) return;
      const run = await response.json();
      bar.value = run.done;
      if (run.line && line.textContent !== run.line) line.textContent = run.line;
      if (run.ended) return location.reload();
    } catch {
      line.textContent = "The server does not answer; still trying.";
    }
  }
}

document.querySelectorAll("[data-progress]").forEach(follow);
