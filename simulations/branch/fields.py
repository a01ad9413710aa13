"""The columns of a site's readings, in their order in memory and on disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Readings = NDArray[np.float64]

LAYOUT = (
    "t t_rx seq boot up_s reset ntp_ok link rssi reconn ip_ok gw_loss gw_rtt gw_jit gw_tcp "
    "dns_r_ok dns_r_ms dns_a_ok dns_a_ms pdns r_up_s r_wan r_util_u r_util_d r_cpu h1_loss h1_rtt "
    "a1_loss a1_rtt a1_tcp a2_loss a2_rtt a2_tcp a3_loss a3_rtt a3_tcp "
    "p_loss p_rtt p_tcp p_sip p_code p_sip_ms m_loss_u m_loss_d m_rtt m_jit m_mos e2_sip e2_loss e2_rtt "
    "q_sip q_loss q_rtt q_jit q_mos x_loss_u x_loss_d x_rtt x_jit oc_ok c_ok c_mos c_pdd v6_a v6_p"
)
FIELDS = tuple(LAYOUT.split(" "))
COLUMN = {name: index for index, name in enumerate(FIELDS)}
TIMES = 2  # t and t_rx need float64: float32 resolves today's epoch to 128 s
