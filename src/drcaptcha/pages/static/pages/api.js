/** Calls to this server's API. */

const PATIENCE = 20_000; // Milliseconds after which a call counts as lost.

/** What the API answered instead of a result; `code` is stable, `message` is for people. */
export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const UNREACHABLE = "The server can’t be reached. Check your connection and try again.";

/** Post `body` as JSON and return the answer; throws ApiError with code "unreachable" where there is none. */
export async function post(path, body) {
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    answer = await response.json();
  } catch {
    throw new ApiError("unreachable", UNREACHABLE);
  }
  if (!response.ok) {
    throw new ApiError(answer?.error?.code ?? "error", answer?.error?.message ?? UNREACHABLE);
  }
  return answer;
}
