/** What a verb's end means to a script. */
export const exitCodes = {
  done: 0,
  /** A mistake of ours, or a stack file that cannot be read. */
  failed: 1,
  usage: 2,
  /** Nothing was begun. */
  refused: 3,
  /** It was begun, and everything is again as it was. */
  aborted: 4,
  /** It stopped halfway, or its end is not known: `topology` names the next command. */
  attention: 5,
  /** `drift` alone: something is not as declared, or could not be looked at. */
  drift: 6,
} as const;
