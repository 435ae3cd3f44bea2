import { connect } from "node:net";

/**
 * One command line of HAProxy's runtime API (several commands with `;` between them); HAProxy closes after the answer.
 * @param socket path of its admin socket on this machine
 * @param place where that socket is at home, for errors
 * @param limitMs for the whole answer, milliseconds
 * @throws Error when nobody answers within the limit
 */
export function askHaproxy(socket: string, place: string, command: string, limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const connection = connect(socket);
    const timer = setTimeout(
      () => connection.destroy(new Error(`HAProxy does not answer at ${place} within ${limitMs / 1000} s`)),
      limitMs,
    );
    connection.setEncoding("utf8");
    connection.on("data", (text: string) => (answer += text));
    connection.on("error", reject);
    connection.on("close", () => {
      clearTimeout(timer);
      // ssh accepts a forwarded connection before it knows whether the host's end can be opened.
      if (answer === "") reject(new Error(`no HAProxy listens at ${place}, or the SSH user may not open it`));
      else resolve(answer);
    });
    connection.write(`${command}\n`);
  });
}
