import { buffer } from 'node:stream/consumers';
import type { ArtifactStore } from '@tyrum/evidence';
import { allows, type Principal } from '@tyrum/identity';
import { artifactIdOf, isConversationKey, isUuid, LIMITS, WireError, type ArtifactRef } from '@tyrum/protocol';
import { notFound, RefusedError } from '../failures';
import type { ArtifactDesk } from '../operations/artifact-desk';
import type { Chats } from '../operations/chats';

const CONVERSATION = 'conversation://';

/** What `resources/read` answers. */
type Contents = { uri: string; mimeType: string } & ({ text: string } | { blob: string });

/** Artifacts and conversations as resources, under `artifact://<uuid>` and `conversation://<key, percent-encoded>`. */
export class McpResources {
  constructor(
    private readonly ports: { readonly chats: Chats; readonly desk: ArtifactDesk; readonly artifacts: ArtifactStore },
  ) {}

  readonly templates = [
    {
      uriTemplate: 'artifact://{artifact_id}',
      name: 'artifact',
      title: 'Artifact',
      description: `The bytes of an artifact, up to ${LIMITS.mcpResourceBytes}; list_artifacts names those of a turn.`,
    },
    {
      uriTemplate: `${CONVERSATION}{conversation_id}`,
      name: 'conversation',
      title: 'Conversation',
      description: 'A conversation with its newest messages; its id is percent-encoded.',
      mimeType: 'application/json',
    },
  ];

  /** A page of the conversations, the last changed first. Who may not read has none. */
  async list(caller: Principal, cursor: string | undefined) {
    if (!allows(caller, 'operator.read')) return { resources: [] };
    const limit = LIMITS.conversationListDefault;
    const page = await this.ports.chats.list(caller.tenantId, { limit, ...(cursor === undefined ? {} : { cursor }) });
    return {
      resources: page.conversations.map(({ conversation_id, title }) => ({
        uri: `${CONVERSATION}${encodeURIComponent(conversation_id)}`,
        name: conversation_id,
        ...(title ? { title } : {}),
        mimeType: 'application/json',
      })),
      ...(page.next_cursor === undefined ? {} : { nextCursor: page.next_cursor }),
    };
  }

  /** @throws {WireError} not_found, forbidden, invalid_request for what is too large */
  async read(caller: Principal, uri: string): Promise<Contents> {
    if (!allows(caller, 'operator.read')) {
      throw new RefusedError('scope', 'forbidden', 'this needs the scope operator.read');
    }
    const artifactId = artifactIdOf(uri);
    if (artifactId !== undefined && isUuid(artifactId)) return this.readArtifact(caller, uri, artifactId);
    const key = keyIn(uri);
    if (key === undefined) throw notFound('resource');
    const { conversation } = await this.ports.chats.get(caller.tenantId, key);
    return { uri, mimeType: 'application/json', text: JSON.stringify(conversation) };
  }

  private async readArtifact(caller: Principal, uri: string, artifactId: string): Promise<Contents> {
    const artifact = await this.ports.desk.find(caller, artifactId);
    const { size_bytes = 0, external_url } = artifact;
    if (size_bytes > LIMITS.mcpResourceBytes) {
      const message = `the artifact has ${size_bytes} bytes: only up to ${LIMITS.mcpResourceBytes} are read here, get it at ${external_url}`;
      throw new WireError('invalid_request', message);
    }
    const { stream } = await this.ports.artifacts.openBytes(caller.tenantId, artifact);
    const bytes = await buffer(stream);
    const mimeType = artifact.mime_type ?? 'application/octet-stream';
    const text = textOf(artifact, bytes);
    return { uri, mimeType, ...(text === undefined ? { blob: bytes.toString('base64') } : { text }) };
  }
}

function keyIn(uri: string): string | undefined {
  if (!uri.startsWith(CONVERSATION)) return undefined;
  try {
    const key = decodeURIComponent(uri.slice(CONVERSATION.length));
    return isConversationKey(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Text where it says that it is text, and is. */
function textOf({ mime_type: type = '' }: ArtifactRef, bytes: Buffer): string | undefined {
  if (!/^(text\/|application\/(json|xml)$)/.test(type)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
