/** Copies the command line beside a button; the buttons show only where the browser lets them work. */

const TOLD = 2000; // Milliseconds for which a button says that it has copied.

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), TOLD);
    });
  }
}
