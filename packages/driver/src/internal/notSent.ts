import { type Attempt, CqlError, type CqlReason, InvalidStatement } from "../CqlError.ts"
import type { Prepared } from "../Prepared.ts"
import { outcomeOf } from "../RetryPolicy.ts"
import * as StatementKind from "../StatementKind.ts"

/** The error of a statement of which nothing was sent, but for attempts to prepare it; a read has no outcome. */
export const notSent = (reason: CqlReason, statement: string, attempts: ReadonlyArray<Attempt> = []): CqlError =>
  new CqlError({
    reason,
    outcome: outcomeOf({ reason, sent: false, kind: StatementKind.of(statement) }),
    attempts,
    statement
  })

/** Names were looked up when the statement was prepared. */
export const misplaced = ({ givenKeyspace, text }: Prepared, keyspace: string): CqlError => {
  const where = givenKeyspace === undefined ? "without a keyspace" : `for ${givenKeyspace}`
  const message =
    `the statement was prepared ${where} and cannot be executed in ${keyspace}: give the keyspace to \`prepare\``
  return notSent(new InvalidStatement({ message }), text)
}
