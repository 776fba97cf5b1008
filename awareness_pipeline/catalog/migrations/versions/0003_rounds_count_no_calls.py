"""rounds count no calls: passes do"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("crawl_runs") as batch_op:
        batch_op.drop_column("calls")


def downgrade() -> None:
    column = sa.Column("calls", sa.Integer(), nullable=False, server_default="0")
    with op.batch_alter_table("crawl_runs") as batch_op:
        batch_op.add_column(column)
    with op.batch_alter_table("crawl_runs") as batch_op:
        batch_op.alter_column("calls", server_default=None)
