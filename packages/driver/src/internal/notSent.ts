import { CqlError, type CqlReason } from "../CqlError.ts"
import { outcomeOf } from "../RetryPolicy.ts"
import * as StatementKind from "../StatementKind.ts"

/** The error of a statement of which nothing was sent; a read has no outcome. */
export const notSent = (reason: CqlReason, statement: string): CqlError =>
  new CqlError({
    reason,
    outcome: outcomeOf({ reason, sent: false, kind: StatementKind.of(statement) }),
    attempts: [],
    statement
  })
