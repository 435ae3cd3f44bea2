/**
 * For whatever is made of a map of the stack file: the CLI hands those over with their keys sorted, the embedded engine as
 * they stand in the file, and what both render must be the same.
 */
export function byName<T extends { readonly name: string }>(things: readonly T[]): readonly T[] {
  return things.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
