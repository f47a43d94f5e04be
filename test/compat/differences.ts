/** Where ours differs, and why; a case that does not differ any more may not stay here. */
export const DIFFERENCES: ReadonlyMap<string, string> = new Map([])
