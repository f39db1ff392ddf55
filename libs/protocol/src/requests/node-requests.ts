import { ActionField, type Action } from '../actions';
import type { JsonObject, JsonValue } from '../json';
import { LIMITS } from '../limits';
import { AnyJson, Flag, ListBy, MaxJsonBytes, NestedList, Optional, Text } from '../payload-fields';
import { isJsonObject } from '../json';
import { CapabilityPayload } from './connect-requests';

/** `capability.ready`: what a node can do right now. */
export class CapabilityReadyPayload {
  @NestedList(() => CapabilityPayload, { max: LIMITS.capabilities })
  capabilities: CapabilityPayload[];

  /** Open objects; each node type says more about its capabilities in its own words. */
  @ListBy(
    (value, path, violations) => {
      if (!isJsonObject(value)) violations.add(path, 'isObject', 'must be an object');
      return value;
    },
    { max: LIMITS.capabilities, items: { type: 'object' } },
  )
  capability_states: JsonObject[] = [];
}

/** `attempt.evidence`: what a node saw while it executed. */
export class AttemptEvidencePayload {
  @Optional()
  @Text(LIMITS.idLength)
  turn_id?: string;

  @Text(LIMITS.idLength)
  dispatch_id: string;

  @AnyJson()
  @MaxJsonBytes(LIMITS.evidenceBytes)
  evidence: JsonValue;
}

/** `task.execute`: the gateway asks a node to execute an action. */
export class TaskExecutePayload {
  @Optional()
  @Text(LIMITS.idLength)
  turn_id?: string;

  @Text(LIMITS.idLength)
  dispatch_id: string;

  @ActionField()
  action: Action;
}

/** `task.cancel` (**ext**): nobody waits any more for what a node was asked. One that does not know it answers an error, which changes nothing. */
export class TaskCancelPayload {
  @Optional()
  @Text(LIMITS.idLength)
  turn_id?: string;

  @Text(LIMITS.idLength)
  dispatch_id: string;

  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;
}

/** A node's answer to `task.cancel`. How the action ended is said in the answer to `task.execute`, as always. */
export class TaskCancelResult {
  /** Whether it was under way, or waited for its turn. */
  @Flag()
  stopping: boolean;
}

/** A node's answer to `task.execute`. */
export class TaskExecuteResult {
  @Optional()
  @AnyJson()
  result?: JsonValue;

  @Optional()
  @AnyJson()
  @MaxJsonBytes(LIMITS.evidenceBytes)
  evidence?: JsonValue;
}
