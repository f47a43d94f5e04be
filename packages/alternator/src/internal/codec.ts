/** Inputs as the bodies of requests, bodies of answers as outputs and errors. */
import * as AlternatorError from "../AlternatorError.ts"
import {
  decodeItem,
  encode as encodeValue,
  encodeItem,
  InvalidValue,
  type Item,
  type Value
} from "../AttributeValue.ts"
import { parse as parseExactly } from "./exactJson.ts"
import { isShed } from "./retry.ts"

type Fields = Readonly<Record<string, any>>

/** Names of fields, of which there are few. */
const quotedNames = new Map<string, string>()

const quoted = (name: string): string => {
  let text = quotedNames.get(name)
  if (text === undefined) {
    text = JSON.stringify(name)
    if (quotedNames.size < 1000) quotedNames.set(name, text)
  }
  return text
}

const object = (fields: Fields, write: (name: string, value: any) => string | undefined): string => {
  let out = "{"
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    const text = value === undefined ? undefined : write(name, value)
    if (text === undefined) continue
    if (out.length > 1) out += ","
    out += `${quoted(name)}:${text}`
  }
  return `${out}}`
}

const list = <A>(values: ReadonlyArray<A>, write: (value: A) => string): string => `[${values.map(write).join(",")}]`

const located = <A>(place: string, write: (value: A) => string, value: A): string => {
  try {
    return write(value)
  } catch (error) {
    throw error instanceof InvalidValue ? new InvalidValue({ message: `${place}: ${error.message}` }) : error
  }
}

const at = (place: string, item: Item): string => located(place, encodeItem, item)

/** Conditions on attributes, or changes to them, by their names: the parameters that expressions have replaced. */
const byAttribute = (parameter: string, attributes: Fields): string =>
  object(attributes, (attribute, said) => {
    const write = (value: Value) => located(`${parameter} ${attribute}`, encodeValue, value)
    return object(said, (name, value) =>
      name === "Value" ? write(value) : name === "AttributeValueList" ? list(value, write) : JSON.stringify(value))
  })

/** What of `RequestItems` is written how: puts and deletes, or keys. */
const requestItems = (tables: Fields): string =>
  object(tables, (table, requests) =>
    Array.isArray(requests)
      ? list(
        requests,
        (request) => object(request, (kind, body) => object(body, (_, item) => at(`${table} ${kind}`, item)))
      )
      : object(requests, (name, value) =>
        name === "Keys"
          ? list(value as ReadonlyArray<Item>, (key) => at(`${table} Keys`, key))
          : JSON.stringify(value)))

const field = (name: string, value: any): string | undefined => {
  switch (name) {
    case "TableName":
      return quoted(value)
    case "Key":
    case "Item":
    case "ExpressionAttributeValues":
    case "ExclusiveStartKey":
      return at(name, value)
    case "RequestItems":
      return requestItems(value)
    case "VectorSearch":
      return object(
        value,
        (name, value) =>
          name === "QueryVector" ? located("VectorSearch QueryVector", encodeValue, value) : JSON.stringify(value)
      )
    case "AttributeUpdates":
    case "Expected":
    case "KeyConditions":
    case "QueryFilter":
    case "ScanFilter":
      return byAttribute(name, value)
    default:
      return JSON.stringify(value)
  }
}

/** The body of a request. Throws {@link InvalidValue}. */
export const encode = (input: Fields): string => object(input, field)

type OnUnknown = (() => void) | undefined

const items = (values: ReadonlyArray<any>, onUnknown: OnUnknown): Array<any> => {
  const out: Array<any> = []
  for (const value of values) out.push(decodeItem(value, onUnknown))
  return out
}

const mapValues = (fields: Fields, f: (value: any) => unknown): Fields =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, f(value)]))

/** The output of an operation from its parsed answer, in place. */
const decode = (operation: string, answer: any, onUnknown?: OnUnknown): any => {
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
    throw new InvalidValue({ message: "the answer is no JSON object" })
  }
  const item = (wire: any) => decodeItem(wire, onUnknown)
  switch (operation) {
    case "GetItem":
      if (answer.Item !== undefined) answer.Item = item(answer.Item)
      return answer
    case "PutItem":
    case "UpdateItem":
    case "DeleteItem":
      if (answer.Attributes !== undefined) answer.Attributes = item(answer.Attributes)
      return answer
    case "Query":
    case "Scan":
      if (answer.Items !== undefined) answer.Items = items(answer.Items, onUnknown)
      if (answer.LastEvaluatedKey !== undefined) answer.LastEvaluatedKey = item(answer.LastEvaluatedKey)
      return answer
    case "BatchGetItem":
      if (answer.Responses !== undefined) answer.Responses = mapValues(answer.Responses, (all) => items(all, onUnknown))
      if (answer.UnprocessedKeys !== undefined) {
        answer.UnprocessedKeys = mapValues(
          answer.UnprocessedKeys,
          (keys) => ({ ...keys, Keys: items(keys.Keys, onUnknown) })
        )
      }
      return answer
    case "BatchWriteItem":
      if (answer.UnprocessedItems !== undefined) {
        answer.UnprocessedItems = mapValues(
          answer.UnprocessedItems,
          (requests) =>
            requests.map((request: any) =>
              request.PutRequest === undefined
                ? { DeleteRequest: { Key: item(request.DeleteRequest.Key) } }
                : { PutRequest: { Item: item(request.PutRequest.Item) } }
            )
        )
      }
      return answer
    case "GetRecords":
      for (const { dynamodb } of answer.Records ?? []) {
        for (const name of ["Keys", "NewImage", "OldImage"]) {
          if (dynamodb?.[name] !== undefined) dynamodb[name] = item(dynamodb[name])
        }
      }
      return answer
    default:
      return answer
  }
}

/** The output of an operation from the text of its answer. Throws {@link InvalidValue} and whatever bad data causes. */
export const read = (operation: string, text: string): any => {
  let isKnown = true
  const output = decode(operation, JSON.parse(text), () => {
    isKnown = false
  })
  // What is not understood is kept digit by digit.
  return isKnown ? output : decode(operation, parseExactly(text))
}

const kindOf = (message: string): AlternatorError.InternalServerError["kind"] =>
  /time.?out|timed out/i.test(message)
    ? "timeout"
    : /unavailable|cannot achieve consistency/i.test(message)
    ? "unavailable"
    : /overload|too many/i.test(message)
    ? "overloaded"
    : /failure|failed/i.test(message)
    ? "failure"
    : "unknown"

const refusals = new Set([
  "AccessDeniedException",
  "InvalidSignatureException",
  "MissingAuthenticationTokenException",
  "MissingAuthenticationToken",
  "UnrecognizedClientException",
  "IncompleteSignatureException",
  "ExpiredTokenException"
])

/** An error answer; and whether the request was certainly not applied. */
export const decodeError = (
  status: number,
  text: string
): { readonly reason: AlternatorError.AlternatorReason; readonly isRejected: boolean } => {
  let body: any
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  const type = typeof body?.__type === "string" ? String(body.__type).split("#").at(-1)! : ""
  const said = body?.message ?? body?.Message
  const message = typeof said === "string" ? said : text.length > 200 ? `${text.slice(0, 200)}…` : text
  const rejected = (reason: AlternatorError.AlternatorReason) => ({ reason, isRejected: true })
  if (status >= 500 && type !== "PayloadTooLarge") {
    return {
      reason: new AlternatorError.InternalServerError({
        message: message || `status ${status}`,
        kind: kindOf(message),
        status
      }),
      isRejected: false
    }
  }
  switch (type) {
    case "ConditionalCheckFailedException": {
      let item: Record<string, unknown> | undefined
      try {
        item = body.Item === undefined ? undefined : decodeItem(body.Item)
      } catch {
        item = undefined
      }
      return rejected(new AlternatorError.ConditionalCheckFailed({ message, item }))
    }
    case "ResourceNotFoundException":
    case "TableNotFoundException":
      return rejected(new AlternatorError.ResourceNotFound({ message }))
    case "ResourceInUseException":
      return rejected(new AlternatorError.ResourceInUse({ message }))
    case "ValidationException":
    case "SerializationException":
      return rejected(new AlternatorError.ValidationFailed({ message }))
    case "UnknownOperationException":
      return rejected(new AlternatorError.UnknownOperation({ message }))
    case "PayloadTooLarge":
      return rejected(new AlternatorError.PayloadTooLarge({ message }))
    case "RequestLimitExceeded":
    case "ThrottlingException":
    case "ProvisionedThroughputExceededException": {
      const shed = isShed(message)
      return { reason: new AlternatorError.RequestLimitExceeded({ message, shed }), isRejected: shed }
    }
    case "InternalServerError":
      return {
        reason: new AlternatorError.InternalServerError({ message, kind: kindOf(message), status }),
        isRejected: false
      }
  }
  if (refusals.has(type)) return rejected(new AlternatorError.AccessRefused({ message, type }))
  if (status === 413) {
    return rejected(new AlternatorError.PayloadTooLarge({ message: message || "the body is too large" }))
  }
  if (status >= 400) {
    return rejected(new AlternatorError.ServerRejected({ message: message || `status ${status}`, type, status }))
  }
  return {
    reason: new AlternatorError.MalformedResponse({ message: `an answer with status ${status}`, status }),
    isRejected: false
  }
}
