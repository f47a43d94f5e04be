/**
 * Values of a prepared statement into bytes, straight into the request's buffer.
 *
 * @since 0.1.0
 */
import { format } from "./CqlType.ts"
import { bind, encoderOf, toEncodeError, type ValueEncoder } from "./internal/encoders.ts"
import type { Column } from "./Metadata.ts"
import { EncodeError } from "./ProtocolError.ts"
import type { Writer } from "./Writer.ts"

/**
 * The encoder of one statement's bound variables.
 *
 * @category models
 * @since 0.1.0
 */
export class BindEncoder {
  readonly columns: ReadonlyArray<Column>
  private readonly encoders: ReadonlyArray<ValueEncoder>
  private readonly types: ReadonlyArray<string>
  private readonly names: ReadonlyMap<string, number>
  /**
   * Where each value of the last {@link write} starts in the writer's bytes: its 4-byte length, then the value. The
   * routing key is read from there, so that nothing is encoded twice.
   */
  readonly offsets: Int32Array

  constructor(columns: ReadonlyArray<Column>) {
    this.columns = columns
    this.encoders = columns.map((column) => encoderOf(column.type))
    this.types = columns.map((column) => format(column.type))
    this.names = new Map(columns.map((column, i) => [column.name, i]))
    this.offsets = new Int32Array(columns.length)
  }

  /**
   * Writes the values as the protocol wants them behind their count. Throws `EncodeError`, naming the column and its CQL
   * type, for a value that does not fit or a wrong number of values; what was written by then is the caller's to forget.
   */
  write(w: Writer, values: ReadonlyArray<unknown>): void {
    const { encoders, offsets } = this
    const count = encoders.length
    if (values.length !== count) throw this.wrongCount(values.length)
    let i = 0
    try {
      for (; i < count; i++) {
        offsets[i] = w.pos
        const value = values[i]
        if (typeof value === "object" || value === undefined) bind(w, encoders[i]!, this.types[i]!, value)
        else encoders[i]!(w, value)
      }
    } catch (error) {
      throw toEncodeError(error, this.columns[i]!.name)
    }
  }

  /**
   * Writes one variable alone: its 4-byte length and the value. For the parts of a partition key, which must be known
   * before it is known to whom the values go. Throws `EncodeError`.
   */
  writeOne(w: Writer, index: number, value: unknown): void {
    try {
      if (typeof value === "object" || value === undefined) bind(w, this.encoders[index]!, this.types[index]!, value)
      else this.encoders[index]!(w, value)
    } catch (error) {
      throw toEncodeError(error, this.columns[index]!.name)
    }
  }

  /**
   * The values in the statement's order, of an object that has them by the variables' names. Throws `EncodeError` for a
   * name that is missing or unknown.
   */
  order(values: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> {
    for (const name of Object.keys(values)) {
      if (!this.names.has(name)) {
        throw new EncodeError({
          message: `the statement has no variable ${JSON.stringify(name)}, it has ${this.variables()}`,
          path: name,
          cqlType: ""
        })
      }
    }
    return this.columns.map((column, i) => {
      if (!Object.hasOwn(values, column.name)) {
        throw new EncodeError({
          message: `${column.name}: no value for this variable of type ${this.types[i]}`,
          path: column.name,
          cqlType: this.types[i]!
        })
      }
      return values[column.name]
    })
  }

  private variables(): string {
    return this.columns.map((column, i) => `${column.name} ${this.types[i]}`).join(", ") || "none"
  }

  private wrongCount(given: number): EncodeError {
    return new EncodeError({
      message: `the statement takes ${this.encoders.length} values (${this.variables()}), got ${given}`,
      path: "",
      cqlType: ""
    })
  }
}
