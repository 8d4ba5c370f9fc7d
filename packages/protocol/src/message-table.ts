// Protobuf messages as data: what a codec needs to know of a .proto file.

export type Scalar = 'string' | 'bytes' | 'bool' | 'uint32' | 'int64' | 'sint32';

/** The one well-known type in use; its JSON form is RFC 3339 text. */
export const TIMESTAMP = 'google.protobuf.Timestamp';

/**
 * `repeated`: an array. `map`: an object from text to text. `oneof`: the message has at most one of its fields marked so.
 * Nothing: a single value.
 */
export type Label = 'repeated' | 'map' | 'oneof';

/** Number on the wire; a scalar or the name of a message or enum of the same table, or `TIMESTAMP`; label. */
export type Field = readonly [number: number, type: string, label?: Label];

export interface MessageTable {
  /** Messages by name, those inside others as `Outer.Inner`, with their fields by camelCase name. */
  readonly messages: Readonly<Record<string, Readonly<Record<string, Field>>>>;
  /** Numbers of the values of enums. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
