import type { Conversation as ConversationShown } from '@tyrum/protocol';
import { Action } from '../form';
import type { PageProps } from '../pages';
import { PageHead, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, usePages, type Column } from '../table';
import { goTo, linkTo } from '../use-place';
import { Conversation } from './conversation';

export function Conversations({ place: [key] }: PageProps) {
  return key === undefined ? <ConversationList /> : <Conversation conversationKey={key} />;
}

function ConversationList() {
  const mayWrite = useAllowed()('operator.write');
  const { answer, pager } = usePages(
    'GET /v1/conversations',
    {},
    { on: ({ type }) => type.startsWith('conversation.') },
  );
  const columns: Column<ConversationShown>[] = [
    {
      title: 'Conversation',
      as: 'wide',
      cell: ({ conversation_id, title }) => (
        <a href={linkTo('conversations', conversation_id)}>{title || conversation_id}</a>
      ),
    },
    {
      title: 'Last message',
      as: 'wide',
      cell: ({ last_message }) => last_message && `${last_message.role}: ${last_message.text}`,
    },
    { title: 'Agent', cell: ({ agent_key }) => agent_key },
    { title: 'Channel', cell: ({ channel }) => channel },
    { title: 'Messages', as: 'number', cell: ({ message_count }) => message_count },
    { title: 'Updated', cell: ({ updated_at }) => <Time at={updated_at} /> },
  ];
  return (
    <>
      <PageHead title="Conversations">
        {mayWrite && (
          <Action
            label="New conversation"
            kind="primary"
            route="POST /v1/conversations"
            body={{ channel: 'ui' }}
            onDone={({ conversation }) => goTo('conversations', conversation.conversation_id)}
          />
        )}
      </PageHead>
      <Table
        label="Conversations"
        rows={answer?.conversations}
        keyOf={({ conversation_id }) => conversation_id}
        columns={columns}
        empty="There are no conversations yet."
      />
      {pager}
    </>
  );
}
