/** An action that was refused: nothing of it happened. */
export class ActionRefused extends Error {
  override readonly name = "ActionRefused";
}
