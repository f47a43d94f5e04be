/**
 * What a request does, as far as retries and affinity need to know. Reads the input of the AWS SDK as well as ours: the
 * names are the same.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { isIdempotent as isIdempotentUpdate } from "./internal/updateExpression.ts"

type Input = Readonly<Record<string, any>>

const reads = new Set([
  "GetItem",
  "BatchGetItem",
  "Query",
  "Scan",
  "ListTables",
  "DescribeTable",
  "DescribeEndpoints",
  "DescribeTimeToLive",
  "DescribeContinuousBackups",
  "ListTagsOfResource",
  "ListStreams",
  "DescribeStream",
  "GetShardIterator",
  "GetRecords"
])

/**
 * Changes nothing.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRead = (operation: string): boolean => reads.has(operation)

const isPresent = (value: unknown): boolean =>
  typeof value === "string"
    ? value !== ""
    : typeof value === "object" && value !== null && Object.keys(value).length > 0

const isConditional = (input: Input): boolean => isPresent(input["ConditionExpression"]) || isPresent(input["Expected"])

const returns = (input: Input, ...values: ReadonlyArray<string>): boolean => values.includes(input["ReturnValues"])

const returnsAnything = (input: Input): boolean => ![undefined, null, "", "NONE"].includes(input["ReturnValues"])

/**
 * Whether doing it twice comes to the same as doing it once, the answer included. A condition is never: it would be
 * checked against what the first application left.
 *
 * @category guards
 * @since 0.1.0
 */
export const isIdempotent = (operation: string, input: Input): boolean => {
  if (reads.has(operation)) return true
  switch (operation) {
    case "PutItem":
    case "DeleteItem":
      return !isConditional(input) && !returnsAnything(input)
    case "UpdateItem": {
      if (isConditional(input) || returns(input, "ALL_OLD", "UPDATED_OLD")) return false
      const expression = input["UpdateExpression"]
      if (typeof expression === "string" && expression !== "") return isIdempotentUpdate(expression)
      return Object.values(input["AttributeUpdates"] ?? {}).every((update: any) => update?.Action !== "ADD")
    }
    case "BatchWriteItem":
    case "TagResource":
    case "UntagResource":
      return true
    default:
      return false
  }
}

/**
 * Whether Alternator reads before it writes, as it does with conditions, expressions and returned values, so that the
 * write may be a lightweight transaction.
 *
 * @category guards
 * @since 0.1.0
 */
export const isReadModifyWrite = (operation: string, input: Input): boolean => {
  if (operation === "PutItem" || operation === "DeleteItem") return isConditional(input) || returnsAnything(input)
  if (operation !== "UpdateItem") return false
  return isPresent(input["UpdateExpression"]) || isConditional(input) ||
    returns(input, "ALL_OLD", "UPDATED_OLD", "ALL_NEW") ||
    Object.values(input["AttributeUpdates"] ?? {}).some((update: any) =>
      update?.Action === "ADD" || (update?.Action === "DELETE" && update.Value !== undefined && update.Value !== null)
    )
}

/**
 * Whether it writes one item.
 *
 * @category guards
 * @since 0.1.0
 */
export const isItemWrite = (operation: string): boolean =>
  operation === "PutItem" || operation === "UpdateItem" || operation === "DeleteItem"
