/**
 * What only some programs need is loaded when they need it: `Config` brings `Schema` and 80 modules more, a third of the time of an
 * import (`npm run bench -- start`).
 */
import * as Effect from "effect/Effect"
import type { CqlError } from "../CqlError.ts"
import type { FromConfig, Options } from "../Options.ts"

/** `fromConfig` of clientConfig.ts. */
export const fromConfig = (options: FromConfig): Effect.Effect<Options, CqlError> =>
  Effect.flatMap(Effect.promise(() => import("./clientConfig.ts")), (config) => config.fromConfig(options))
