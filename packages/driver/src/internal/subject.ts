import type { Prepared } from "../Prepared.ts"
import type { BatchStatement } from "./batchStatement.ts"
import type { EncodedStatement } from "./encodedStatement.ts"
import type { PlainText } from "./plainTexts.ts"

/** What the statement of a request is: prepared with its values, a text without any, either with values that are bytes already, or a batch of such. */
export type Subject = Prepared | PlainText | EncodedStatement | BatchStatement
