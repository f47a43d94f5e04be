/** Statements of the whole cluster: text to plan, plan to answer. Nodes differ only in what they have prepared. */
import type * as Request from "@effect-scylla/protocol/Request"
import type { SchemaChange, ServerResponse } from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { Replicas } from "./cluster/replicas.ts"
import type { SimNode } from "./cluster/simNode.ts"
import type { Topology } from "./cluster/topology.ts"
import { invalid, wrongCount } from "./failure.ts"
import type * as Ast from "./parse/ast.ts"
import { parse } from "./parse/parser.ts"
import * as Offset from "./plan/offset.ts"
import { type Call, plain, type Plan, VOID } from "./plan/plan.ts"
import { compileSelect } from "./plan/select.ts"
import type { Bound, InName, Markers } from "./plan/variables.ts"
import { type BatchPart, compileBatch, compileModification, executeBatch } from "./plan/write.ts"
import { Access } from "./schema/access.ts"
import type { Computed } from "./schema/computed.ts"
import { applyStatement } from "./schema/ddl.ts"
import { describe, describedColumns } from "./schema/describe.ts"
import { keyspaceResource, needsOf, tableResource, withParents } from "./schema/rights.ts"
import { refuseAnonymous } from "./schema/roles.ts"
import { runRoles } from "./schema/roleStatements.ts"
import { findTable, type Schema, type Table } from "./schema/schema.ts"
import type { Environment } from "./schema/schemaChange.ts"
import { ServiceLevels } from "./schema/serviceLevels.ts"
import { Traces } from "./schema/traces.ts"

/** Where the time comes from. */
export interface Time {
  /** Milliseconds since 1970. */
  readonly millis: () => number
  /** Microseconds that the clock of a node is ahead of it. */
  readonly skew: (node: SimNode) => bigint
}

/** What a cluster does its own way. */
export interface Manners extends Pick<Environment, "product" | "tablets" | "tabletLimits" | "passesNoTablets"> {
  readonly inName: InName
  /** Whom clients log in as first: a superuser. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  readonly clusterName: string
  /** Whether each node keeps its own data. */
  readonly hasOwnReplicas: boolean
}

/** What came out of a request beside its answer. */
export interface Outcome {
  readonly response: ServerResponse
  readonly warnings: ReadonlyArray<string>
}

/** Plans of texts that were not prepared are kept for so many texts. */
const CACHED_TEXTS = 512

export const isRetired = (plan: Plan): boolean => {
  for (let i = 0; i < plan.tables.length; i++) if (plan.tables[i]!.isRetired) return true
  return false
}

export class Engine {
  readonly schema: Schema
  readonly topology: Topology
  readonly traces = new Traces()
  /** Where nodes have data of their own. */
  readonly replicas: Replicas | undefined
  private readonly time: Time
  private readonly product: Environment["product"]
  private readonly tablets: Environment["tablets"]
  private readonly tabletLimits: boolean
  private readonly passesNoTablets: boolean
  private readonly announce: (change: SchemaChange) => void
  /** Where clients log in. */
  readonly access: Access | undefined
  private readonly clusterName: string
  private inName: InName
  private readonly serviceLevels = new ServiceLevels()
  private readonly plans = new Map<string, Plan>()
  /** By how far clocks are ahead: nodes whose clocks agree never give the same timestamp twice. */
  private readonly lastTimestamps = new Map<bigint, bigint>()
  /** How many numbers were given to functions. */
  private numbers = 0
  /** Warnings of the statement that runs. */
  private warnings: ReadonlyArray<string> = []

  constructor(
    schema: Schema,
    topology: Topology,
    time: Time,
    manners: Manners,
    announce: (change: SchemaChange) => void
  ) {
    this.product = manners.product
    this.tablets = manners.tablets
    this.tabletLimits = manners.tabletLimits
    this.passesNoTablets = manners.passesNoTablets
    this.inName = manners.inName
    this.access = manners.credentials === undefined ? undefined : new Access(manners.product, manners.credentials)
    this.clusterName = manners.clusterName
    this.schema = schema
    this.replicas = manners.hasOwnReplicas ? new Replicas(topology) : undefined
    this.topology = topology
    this.time = time
    this.announce = announce
  }

  /** Milliseconds since 1970. */
  get millis(): number {
    return this.time.millis()
  }

  /** Microseconds by the clock of a node, later than every timestamp that it showed before. */
  private timestamp(node: SimNode): bigint {
    const skew = this.time.skew(node)
    const now = BigInt(Math.round(this.time.millis() * 1000)) + skew
    const last = this.lastTimestamps.get(skew)
    const next = last === undefined || now > last ? now : last + 1n
    this.lastTimestamps.set(skew, next)
    return next
  }

  call(
    node: SimNode,
    values: Bound,
    options: Request.Options,
    { hasRateLimitError, isCassandra, user }: Pick<Call, "hasRateLimitError" | "isCassandra" | "user">
  ): Call {
    return {
      topology: this.topology,
      node,
      user,
      values,
      options,
      now: options.nowInSeconds === undefined ? this.time.millis() : options.nowInSeconds * 1000,
      timestamp: () => this.timestamp(node),
      hasRateLimitError,
      isCassandra,
      tabletLimits: this.tabletLimits,
      replicas: this.replicas,
      warnings: [],
      partitions: 0,
      table: undefined,
      hi: 0,
      lo: 0
    }
  }

  /** Compiles a statement for a connection that uses `keyspace` ("" for none). */
  compile(text: string, keyspace: string): Plan {
    const parsed = parse(text, this.product)
    const plan = this.compiled(parsed, keyspace)
    return this.access === undefined
      ? { ...plan, text }
      : { ...plan, text, needs: needsOf(parsed.statement, keyspace) }
  }

  private compiled({ markers: names, statement }: Ast.Parsed, keyspace: string): Plan {
    const markers: Markers = {
      names,
      inName: this.inName,
      product: this.product,
      now: this.time.millis,
      unique: () => ++this.numbers
    }
    const find = (name: Ast.TableName): Table => findTable(this.schema, name.keyspace, keyspace, name.name)
    switch (statement._tag) {
      case "Select":
        return compileSelect(statement, find(statement.table), markers)
      case "Insert":
      case "Update":
      case "Delete":
        return compileModification(statement, find(statement.table), markers)
      case "Batch":
        return compileBatch(statement, find, markers)
      case "Truncate": {
        const table = find(statement.table)
        if (table.view !== undefined) {
          throw invalid("Cannot TRUNCATE materialized view directly; must truncate base table instead")
        }
        return plain((call) => this.truncate(table, call), [table])
      }
      case "Roles":
        if (this.access !== undefined) {
          const { access } = this
          return plain((call) => {
            const { response, warnings } = runRoles(
              access,
              statement,
              call.user ?? "",
              keyspace,
              (resource) => this.isThere(resource)
            )
            call.warnings.push(...warnings)
            return response
          })
        }
        // Cassandra looks at who asks before anything is prepared.
        if (this.product === "cassandra" && statement.what.startsWith("LIST")) {
          throw refuseAnonymous(statement, "cassandra")
        }
        return plain(() => {
          throw refuseAnonymous(statement, this.product)
        })
      case "ServiceLevel":
        return this.serviceLevels.plan(statement)
      case "Describe":
        return this.describe(statement, keyspace)
      case "Use":
        return plain(() => {
          if (!this.schema.keyspaces.has(statement.keyspace)) {
            throw invalid(`Keyspace '${statement.keyspace}' does not exist`)
          }
          return { _tag: "SetKeyspace", keyspace: statement.keyspace }
        })
      default:
        if (names.length > 0) {
          const isView = statement._tag === "CreateView" && this.product === "cassandra"
          throw invalid(
            `Bind variables are not allowed in ${isView ? "CREATE MATERIALIZED VIEW" : "schema"} statements`
          )
        }
        return plain((call) => this.changeSchema(statement, keyspace, call.user))
    }
  }

  /** From now on markers of IN have this name. What was compiled has the other. */
  renameIn(inName: InName): void {
    this.inName = inName
    this.plans.clear()
  }

  /** Whether a text means the same in every keyspace. */
  isQualified(text: string): boolean {
    const { statement } = parse(text, this.product)
    switch (statement._tag) {
      case "Batch":
        return statement.statements.every(({ table }) => table.keyspace !== undefined)
      case "Select":
      case "Insert":
      case "Update":
      case "Delete":
      case "Truncate":
        return statement.table.keyspace !== undefined
      default:
        return true
    }
  }

  private describe(statement: Extract<Ast.Statement, { readonly _tag: "Describe" }>, keyspace: string): Plan {
    const columns = describedColumns(statement, keyspace)
    const input = {
      schema: this.schema,
      topology: this.topology,
      product: this.product,
      clusterName: this.clusterName
    }
    return {
      ...plain((call) => {
        const rows = describe(statement, input, keyspace)
        // Pages are Cassandra's; ScyllaDB gives all at once.
        const { pageSize = 0, pagingState = null } = call.options
        if (this.product === "scylla" || pageSize <= 0) return { _tag: "Rows", columns, rows, globalSpec: false }
        const start = pagingState === null ? 0 : Offset.read(pagingState)
        const end = start + pageSize
        return {
          _tag: "Rows",
          columns,
          rows: rows.slice(start, end),
          pagingState: end < rows.length ? Offset.write(end) : null,
          globalSpec: false
        }
      }),
      // Cassandra says nothing of the answer before it gives it.
      result: this.product === "scylla" ? columns : []
    }
  }

  private truncate(table: Table, call: Call): ServerResponse {
    call.table = table
    call.partitions = 0
    if (table.computed !== undefined) return this.truncateSystem(table, table.computed, call)
    const { nodes } = this.topology
    const alive = nodes.filter((node) => node.isRunning).length
    if (alive < nodes.length) {
      throw new ServerError.Unavailable({
        code: 0x1000,
        message: `Cannot achieve consistency level for cl ALL. Requires ${nodes.length}, alive ${alive}`,
        consistency: "ALL",
        required: nodes.length,
        alive
      })
    }
    table.data.clear()
    this.replicas?.forget(table.data)
    return VOID
  }

  private truncateSystem({ keyspace, name }: Table, computed: Computed, call: Call): ServerResponse {
    if (this.product === "scylla" && keyspace.name === "system_schema") {
      throw new ServerError.TruncateError({
        code: 0x1003,
        message: `Error during truncate: std::runtime_error (Truncating of ${keyspace.name}.${name} is not allowed.)`
      })
    }
    if (keyspace.isVirtual) throw invalid("Cannot truncate virtual tables")
    computed.truncate(call.node)
    return VOID
  }

  /** Whether there is something that rights can be granted on. */
  private isThere(resource: string): boolean {
    const [, kind, keyspace = "", table = ""] =
      /^<(keyspace|table|all tables in|role) ([^.>]*)(?:\.(.*))?>$/.exec(resource) ?? []
    if (kind === undefined) return true
    if (kind === "role") return this.access?.roles.has(keyspace) === true
    const found = this.schema.keyspaces.get(keyspace)
    return kind === "table" ? found?.tables.has(table) === true : found !== undefined
  }

  /** Who creates something has all rights to it, and what is gone has none. */
  private keepRights(change: SchemaChange, user: string | undefined): void {
    const { access } = this
    if (access === undefined || user === undefined) return
    if (change.target !== "KEYSPACE" && change.target !== "TABLE") return
    const resource = change.target === "KEYSPACE"
      ? keyspaceResource(change.keyspace)
      : tableResource(change.keyspace, change.name ?? "")
    if (change.change === "CREATED") access.created(user, resource)
    if (change.change === "DROPPED") {
      access.dropped((each) =>
        each === resource || (change.target === "KEYSPACE" && withParents(each).includes(resource))
      )
    }
  }

  private changeSchema(statement: Ast.SchemaStatement, keyspace: string, user: string | undefined): ServerResponse {
    const change = applyStatement(
      {
        schema: this.schema,
        datacenters: [...new Set(this.topology.nodes.map((node) => node.datacenter))],
        nodes: this.topology.nodes.map((node) => node.datacenter),
        product: this.product,
        tablets: this.tablets,
        tabletLimits: this.tabletLimits,
        passesNoTablets: this.passesNoTablets,
        now: this.time.millis()
      },
      statement,
      keyspace
    )
    this.warnings = change.warnings
    // Plans of texts that were not prepared outlive no change, options of a table included.
    this.plans.clear()
    for (const event of change.events) this.announce(event)
    if (change.answer !== undefined) this.keepRights(change.answer, user)
    return change.answer === undefined ? VOID : { _tag: "SchemaChanged", schema: change.answer }
  }

  /** Runs a plan. The call tells afterwards what it touched, a failed one too. */
  execute(plan: Plan, call: Call): Outcome {
    if (call.values.length !== plan.variables.length) {
      throw wrongCount(plan.variables.length, call.values.length)
    }
    this.authorize(plan, call)
    this.warnings = []
    const response = plan.execute(call)
    return { response, warnings: [...this.warnings, ...call.warnings] }
  }

  private authorize({ needs }: Plan, { user }: Call): void {
    if (this.access !== undefined && user !== undefined && needs !== undefined) this.access.ensure(user, needs)
  }

  /** The plan of a text that was not prepared; plans of data statements are remembered while their tables stand. */
  planOf(text: string, keyspace: string): Plan {
    const id = `${keyspace}\u0000${text}`
    const known = this.plans.get(id)
    if (known !== undefined && !isRetired(known)) return known
    const plan = this.compile(text, keyspace)
    // System tables do not change, and statements without tables do something else each time.
    if (plan.tables.length > 0 && text.length < 4096) {
      if (this.plans.size >= CACHED_TEXTS) this.plans.clear()
      this.plans.set(id, plan)
    }
    return plan
  }

  /** Runs a BATCH message. `prepared` finds what a node has prepared, or throws UNPREPARED. */
  batch(
    request: Extract<Request.Request, { readonly _tag: "Batch" }>,
    keyspace: string,
    call: Call,
    prepared: (id: Uint8Array) => Plan
  ): Outcome {
    const parts = request.entries.map((entry): BatchPart => {
      const plan = entry._tag === "Text" ? this.planOf(entry.query, keyspace) : prepared(entry.id)
      this.authorize(plan, call)
      if (plan.mutation === undefined) {
        throw invalid("Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed.")
      }
      if (entry.values.length !== plan.variables.length) {
        throw invalid(
          `There were ${plan.variables.length} markers(?) in CQL but ${entry.values.length} bound variables`
        )
      }
      return { mutation: plan.mutation, values: entry.values }
    })
    return { response: executeBatch(request.kind, parts, call), warnings: call.warnings }
  }
}
