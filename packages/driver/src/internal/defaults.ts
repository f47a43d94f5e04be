/** Options over others, which hold where there is none: one that is `undefined` is none, as whoever passes options on has it. */
export const over = <D extends object, O extends object>(defaults: D, options: O | undefined): D & O => {
  if (options === undefined) return defaults as D & O
  const all = { ...defaults } as Record<string, unknown>
  for (const [name, value] of Object.entries(options)) if (value !== undefined) all[name] = value
  return all as D & O
}
