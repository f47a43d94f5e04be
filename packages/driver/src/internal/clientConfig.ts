/** The client's options out of the configuration: what is read, and what is said of it. */
import * as Effect from "effect/Effect"
import type { CqlError } from "../CqlError.ts"
import { examine, type FromConfig, invalid, type Options } from "../Options.ts"
import { defaultNames, type Issue, readLeaves } from "./fromConfig.ts"

/** One error of all that is wrong. */
export const fromConfig = (options: FromConfig): Effect.Effect<Options, CqlError> =>
  Effect.gen(function*() {
    const issues: Array<Issue> = []
    const read = yield* readOptions(options, "", issues)
    return issues.length > 0 ? yield* invalid(issues) : read
  })

/** Options from the configuration; what is wrong with them, put together or one by one, is added to `issues`. */
export const readOptions = (
  given: FromConfig,
  prefix: string,
  issues: Array<Issue>
): Effect.Effect<Options> =>
  Effect.map(readLeaves<Options>(given, prefix, issues, defaultNames), ({ names, options, unread }) => {
    for (const { message, path } of examine(options as Options).issues) {
      const field = path.replace(/[[.].*$/, "")
      if (unread.has(field)) continue
      const name = names.get(field)
      const wanted = field === "contactPoints" && options.contactPoints === undefined
      issues.push({
        path: name === undefined ? `${prefix}${path}` : path.replace(field, name),
        message: wanted ? `${message} (or set CQL_CONTACT_POINTS)` : message
      })
    }
    return options as Options
  })
