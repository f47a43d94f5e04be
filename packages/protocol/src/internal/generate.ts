/** Whether code may be generated here (not under `--disallow-code-generation-from-strings`). */
export const canGenerate: boolean = ((): boolean => {
  try {
    return new Function("return true")() === true
  } catch {
    return false
  }
})()
