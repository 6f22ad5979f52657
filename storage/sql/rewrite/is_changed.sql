(ifNull(cost, -1), toString(price_version), toString(price_id)) != (ifNull((${repriced}).1, -1), (${repriced}).2, (${repriced}).3)
