import { request } from "node:http";

/**
 * The body of a GET, whatever its status. Unlike `fetch`, nothing of it outlives the limit: a connection to a dead host
 * would keep this process for ten seconds more.
 * @param limitMs for the whole exchange, milliseconds
 * @throws Error when there is no answer in time
 */
export function httpGet(url: string, limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false, signal: AbortSignal.timeout(limitMs) }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text.trim()));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end();
  });
}
