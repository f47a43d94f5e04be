/** The service levels of ScyllaDB: names with options, that nothing here depends on. */
import { encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import { internal, invalid, syntax } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { parseDuration } from "../plan/literals.ts"
import { plain, type Plan, VOID } from "../plan/plan.ts"

type Statement = Extract<Ast.Statement, { readonly _tag: "ServiceLevel" }>

interface Level {
  readonly timeout: Uint8Array | null
  readonly workload: string | undefined
}

const column = (name: string, type: CqlType.ScalarName): WireColumn => ({
  keyspace: "QOS",
  table: "service_levels",
  name,
  type: CqlType.scalar(type)
})

const COLUMNS = [column("service_level", "text"), column("timeout", "duration"), column("workload_type", "text")]

const WORKLOADS = new Set(["unspecified", "interactive", "batch"])

const levelOf = (options: ReadonlyMap<string, Ast.Property>, before?: Level): Level => {
  let timeout = before?.timeout ?? null
  let workload = before?.workload
  for (const [key, value] of options) {
    const text = String(value)
    if (key === "timeout") {
      const duration = parseDuration(text)
      timeout = duration === undefined ? null : encode(CqlType.scalar("duration"), duration)
    } else if (key === "workload_type") {
      if (!WORKLOADS.has(text)) throw invalid(`Invalid workload type: ${text}`)
      workload = text
    } else throw syntax(`Unknown property '${key}'`)
  }
  return { timeout, workload }
}

export class ServiceLevels {
  private readonly levels = new Map<string, Level>()

  private known(name: string): Level {
    const found = this.levels.get(name)
    if (found === undefined) throw internal(`Service Level ${name} doesn't exists.`)
    return found
  }

  plan(statement: Statement): Plan {
    const { isIf, options, what } = statement
    const name = statement.name ?? ""
    switch (what) {
      case "CREATE":
        return plain(() => {
          if (this.levels.has(name)) {
            if (isIf) return VOID
            throw invalid(`Service Level ${name} already exists`)
          }
          this.levels.set(name, levelOf(options))
          return VOID
        })
      case "ALTER":
        return plain(() => {
          this.levels.set(name, levelOf(options, this.known(name)))
          return VOID
        })
      case "DROP":
        return plain(() => {
          if (!isIf || this.levels.has(name)) this.known(name)
          this.levels.delete(name)
          return VOID
        })
      case "ATTACH":
        return plain(() => {
          this.known(name)
          return VOID
        })
      case "LIST":
        return {
          ...plain(() => {
            const found = statement.name === undefined
              ? [...this.levels].sort(([a], [b]) => a < b ? -1 : 1)
              : [...this.levels].filter(([each]) => each === name)
            const rows = found.map(([each, { timeout, workload }]) => [
              new TextEncoder().encode(each),
              timeout,
              workload === undefined ? null : new TextEncoder().encode(workload)
            ])
            return { _tag: "Rows", columns: COLUMNS, rows, globalSpec: false }
          }),
          result: COLUMNS
        }
      default:
        throw invalid(`Role ${name} doesn't exist.`)
    }
  }
}
