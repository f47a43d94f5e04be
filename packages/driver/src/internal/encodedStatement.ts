import type { Encoded } from "@effect-scylla/protocol/Encoded"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import type { Prepared } from "../Prepared.ts"
import type * as StatementKind from "../StatementKind.ts"
import type { PlainText } from "./plainTexts.ts"
import type { Usual } from "./usual.ts"

/** A statement with values that are bytes already. */
export class EncodedStatement {
  readonly form = "encoded"
  readonly statement: Prepared | PlainText
  readonly encoded: Encoded

  constructor(statement: Prepared | PlainText, encoded: Encoded) {
    this.statement = statement
    this.encoded = encoded
  }

  get prepared(): Prepared | undefined {
    return this.statement.form === "prepared" ? this.statement : undefined
  }

  get text(): string {
    return this.statement.text
  }

  get kind(): StatementKind.StatementKind {
    return this.statement.kind
  }

  get isCertain(): boolean {
    return this.statement.isCertain
  }

  get usual(): Usual {
    return this.statement.usual
  }

  get decoder(): RowDecoder | undefined {
    return this.statement.decoder
  }

  set decoder(decoder: RowDecoder | undefined) {
    this.statement.decoder = decoder
  }
}
