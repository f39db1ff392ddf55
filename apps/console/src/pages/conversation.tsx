import type { Message, MessagePart } from '@tyrum/protocol';
import { useState } from 'react';
import { Action, Field, Form } from '../form';
import type { LiveEvent } from '../live-events';
import { Facts, Output, PageHead, Problem, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { useAnswer } from '../use-answer';
import { useLive } from '../use-live';
import { goTo, linkTo } from '../use-place';

/** A conversation: its newest messages, the one being written, and a field for the next. */
export function Conversation({ conversationKey }: { readonly conversationKey: string }) {
  const params = { key: conversationKey };
  const { answer, error, reload } = useAnswer(
    'GET /v1/conversations/:key',
    { params },
    { on: (event) => isAbout(event, conversationKey) },
  );
  const [turnId, setTurnId] = useState<string>();
  const mayWrite = useAllowed()('operator.write');
  if (!answer) return error === undefined ? <p className="loading">Loading…</p> : <Problem text={error} />;
  const { conversation } = answer;
  return (
    <>
      <PageHead title={conversation.title || 'Conversation'}>
        {mayWrite && (
          <Action
            label="Delete"
            kind="danger"
            route="DELETE /v1/conversations/:key"
            params={params}
            confirm="Its messages are gone then."
            onDone={() => goTo('conversations')}
          />
        )}
      </PageHead>
      <Problem text={error} />
      <Facts
        of={{
          Key: <code>{conversation.conversation_id}</code>,
          Messages: conversation.message_count,
          Queue: conversation.queue_mode,
          Updated: <Time at={conversation.updated_at} />,
        }}
      />
      <ol className="messages" aria-label="Messages">
        {conversation.messages.map((message) => (
          <MessageShown key={message.id} message={message} />
        ))}
        <BeingWritten conversationKey={conversationKey} known={conversation.messages} />
      </ol>
      {turnId !== undefined && <Reply key={turnId} turnId={turnId} />}
      {mayWrite && (
        <Form
          label="Send a message"
          submit="Send"
          clears
          route="POST /v1/conversations/:key/messages"
          params={params}
          body={(filled) => submissionOf(filled.text('text') ?? '')}
          onDone={({ stream_id }) => {
            setTurnId(stream_id);
            reload();
          }}
        >
          <Field name="text" label="Message" rows={3} required />
        </Form>
      )}
    </>
  );
}

/** The message's id is the edge's to give: the same text sent again after a lost answer has to be the same request. */
function submissionOf(text: string): object {
  return { trigger: 'submit-message', messages: [{ id: 'new', role: 'user', parts: [{ type: 'text', text }] }] };
}

function isAbout(event: LiveEvent, conversationKey: string): boolean {
  if (event.type === 'message.final') return event.payload.conversation_id === conversationKey;
  return event.type === 'conversation.updated' && event.payload.conversation.conversation_id === conversationKey;
}

function MessageShown({ message: { role, parts } }: { readonly message: Message }) {
  return (
    <li className={`message ${role}`}>
      <span className="role">{role}</span>
      {parts.map((part, index) => (
        <Part key={index} part={part} />
      ))}
    </li>
  );
}

function Part({ part }: { readonly part: MessagePart }) {
  if (part.type === 'text' && typeof part['text'] === 'string') return <p className="text">{part['text']}</p>;
  return (
    <details>
      <summary>{part.type}</summary>
      <Output value={part} />
    </details>
  );
}

/** The pieces of replies as they come, until the whole message is among the known ones. */
function BeingWritten({
  conversationKey,
  known,
}: {
  readonly conversationKey: string;
  readonly known: readonly Message[];
}) {
  const [pieces, setPieces] = useState<ReadonlyMap<string, string>>(new Map());
  useLive((event) => {
    if (event.type !== 'message.delta' || event.payload.conversation_id !== conversationKey) return;
    const { message_id, delta } = event.payload;
    setPieces((old) => new Map([...old, [message_id, (old.get(message_id) ?? '') + delta]]));
  });
  const isKnown = new Set(known.map(({ id }) => id));
  return [...pieces]
    .filter(([id]) => !isKnown.has(id))
    .map(([id, text]) => (
      <li key={id} className="message assistant" aria-busy="true">
        <span className="role">assistant</span>
        <p className="text">{text}</p>
      </li>
    ));
}

/** How the turn stands that writes the reply: a reply that does not come is explained there. */
function Reply({ turnId }: { readonly turnId: string }) {
  const { answer } = useAnswer(
    'GET /v1/turns/:id',
    { params: { id: turnId } },
    { on: (event) => 'payload' in event && 'turn_id' in event.payload && event.payload.turn_id === turnId },
  );
  const failure = answer?.steps.findLast(({ error }) => error)?.error;
  return (
    <p className="reply">
      <a href={linkTo('turns', turnId)}>The reply</a> {answer && <Status value={answer.turn.status} />}
      {failure && <Problem text={failure.message} />}
    </p>
  );
}
